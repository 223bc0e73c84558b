"""How often somebody may ask."""

import pytest

from roi_ray.errors import UsageError
from roi_ray.votes.http.guard.rates import Rates
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
        check_refusal(client.post("/admin/login", data={"key": KEY}))
        check_refusal(client.get("/admin/status", headers={"Authorization": f"Bearer {KEY}"}))
        check_refusal(client.get("/admin", headers={"Authorization": f"Bearer {KEY}"}))
        with server.join() as rater:
            assert rater.post("/api/questions").status_code == 200


def test_right_key_is_not_counted(server) -> None:
    with server.operator() as operator:
        for _ in range(8):
            assert operator.get("/admin/status").status_code == 200


def test_rates_are_above_zero() -> None:
    with pytest.raises(UsageError, match="votes"):
        Rates(votes=0)
