"""How often somebody may ask."""

import socket

import httpx
import pytest

from roi_ray.errors import UsageError
from roi_ray.votes.http.guard.places import Places
from roi_ray.votes.http.guard.rates import MAX_NAMES, SECONDS, RateLimiter, Rates
from roi_ray.web.error_answers import RequestFailed
from tests.votes.http.studies import KEY, ask, join, make_site, running


def check_refusal(response) -> None:
    assert response.status_code == 429
    assert 1 <= int(response.headers["retry-after"]) <= 60


def test_each_rate_is_that_of_one_rater(questions, tmp_path) -> None:
    rates = Rates(votes=3, images=2, visits=1000)
    with (
        running(questions, tmp_path, make_site(rates=rates)) as server,
        server.join() as one,
        server.join() as two,
    ):
        images = ask(one)[0]["images"]
        for _ in range(2):
            assert one.post("/api/questions").status_code == 200
            assert one.get(images["1"]).status_code == 200
        check_refusal(one.post("/api/questions"))
        check_refusal(one.post("/api/votes"))
        check_refusal(one.get(images["2"]))
        assert one.post("/api/questions").json()["error_kind"] == "TooManyRequests"
        assert two.post("/api/questions").status_code == 200


def test_visits_without_a_session_are_counted_by_address(questions, tmp_path) -> None:
    rates = Rates(visits=4)
    with running(questions, tmp_path, make_site(rates=rates)) as server, server.client() as client:
        (token,) = server.study.invite(1, 1)
        assert join(client, token).status_code == 303  # two visits
        session = client.cookies["roi_ray_rater"]
        client.cookies.clear()
        for guess in ("a" * 32, "b" * 32):
            headers = {"Cookie": f"roi_ray_rater={guess}"}
            assert client.get("/study", headers=headers).status_code == 403
        for path in ("/", f"/join/{token}", "/study"):
            response = client.get(path)
            check_refusal(response)
            assert response.headers["content-type"].startswith("text/html")
        check_refusal(client.post("/join", data={"token": token}))
        # Whoever has a session goes on.
        assert (
            client.get("/study", headers={"Cookie": f"roi_ray_rater={session}"}).status_code == 200
        )


def test_five_wrong_keys_per_minute(questions, tmp_path) -> None:
    with running(questions, tmp_path, make_site()) as server, server.client() as client:
        for number in range(3):
            assert client.post("/admin/login", data={"key": f"k{number}"}).status_code == 403
        for number in range(2):
            headers = {"Authorization": f"Bearer k{number}"}
            assert client.get("/admin/status", headers=headers).status_code == 401
        check_refusal(client.post("/admin/login", data={"key": "k"}))
        check_refusal(client.get("/admin/status", headers={"Authorization": "Bearer k"}))
        check_refusal(client.get("/admin", headers={"Authorization": "Bearer k"}))
        # Others may have sent them, through the same proxy.
        headers = {"Authorization": f"Bearer {KEY}"}
        assert client.get("/admin/status", headers=headers).status_code == 200
        assert client.post("/admin/login", data={"key": KEY}).status_code == 303
        with server.join() as rater:
            assert rater.post("/api/questions").status_code == 200


def test_right_key_is_not_counted(server) -> None:
    with server.operator() as operator:
        for _ in range(8):
            assert operator.get("/admin/status").status_code == 200


def test_requests_count_for_a_minute() -> None:
    now = 0.0
    limiter = RateLimiter(Rates(visits=3), lambda: now)

    def refused() -> str:
        with pytest.raises(RequestFailed) as error:
            limiter.count("visits", "10.0.0.1")
        return dict(error.value.answer.headers)["Retry-After"]

    for seconds in (0.0, 10.0, 50.0):
        now = seconds
        limiter.count("visits", "10.0.0.1")
    now = 59.5
    assert refused() == refused() == "1"
    now = 60.0
    limiter.count("visits", "10.0.0.1")
    assert refused() == "10"


def test_who_asked_is_forgotten_after_a_minute() -> None:
    now = 0.0
    limiter = RateLimiter(Rates(), lambda: now)
    for number in range(2 * MAX_NAMES):
        now = number / MAX_NAMES
        limiter.count("visits", f"network {number}")
    assert len(limiter) == MAX_NAMES
    now = 1.5 + SECONDS
    limiter.check("visits", "somebody")
    assert len(limiter) == MAX_NAMES // 2 - 1
    now = 2 + SECONDS
    limiter.check("visits", "somebody")
    assert len(limiter) == 0


def test_places_are_those_of_one_and_given_back() -> None:
    places = Places(2)
    with places.take("one"), places.take("two"):
        with places.take("one"):
            check_refusal_of(places, "one")
        places.check("one")
    assert len(places) == 0


def check_refusal_of(places: Places, who: str) -> None:
    with pytest.raises(RequestFailed, match="too many"):
        places.check(who)


def test_forms_that_do_not_arrive_leave_places_for_others(questions, tmp_path) -> None:
    head = "POST /admin/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    with running(questions, tmp_path, make_site()) as server, server.join() as rater:
        address = ("127.0.0.1", httpx.URL(server.url).port)
        connections = [socket.create_connection(address) for _ in range(20)]
        for connection in connections:
            connection.sendall(head.encode())
        for connection in connections[16:]:
            assert b" 429 " in connection.recv(1024)
        assert rater.post("/api/questions").status_code == 200
        for connection in connections:
            connection.close()


def test_logins_are_visits(questions, tmp_path) -> None:
    site = make_site(rates=Rates(visits=1))
    with running(questions, tmp_path, site) as server, server.client() as client:
        assert client.post("/admin/login", data={"key": KEY}).status_code == 303
        check_refusal(client.post("/admin/login", data={"key": KEY}))


def test_rates_are_above_zero() -> None:
    with pytest.raises(UsageError, match="votes"):
        Rates(votes=0)
