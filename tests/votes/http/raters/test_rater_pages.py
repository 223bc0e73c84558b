"""Invitations, consent and sessions."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from roi_ray.votes.http.raters.cookies import RATER_SECONDS
from tests.votes.http.studies import ask, join, make_site, make_vote, running


def test_looking_at_an_invitation_does_not_use_it_up(server) -> None:
    (token,) = server.study.invite(1, 1)
    with server.client() as client:
        for _ in range(3):
            response = client.get(f"/join/{token}")
            assert response.status_code == 200
            assert "set-cookie" not in response.headers
            assert client.head(f"/join/{token}").status_code == 200
        assert join(client, token).headers["location"] == "/study"


def test_used_invitation_lets_nobody_else_in(server) -> None:
    (token,) = server.study.invite(1, 1)
    with server.client() as first, server.client() as second:
        page = first.get(f"/join/{token}").text
        text = re.search(r'name="text" value="(\w+)"', page)[1]
        assert join(first, token).status_code == 303
        assert second.get(f"/join/{token}").status_code == 404
        form = {"token": token, "text": text, "consent": "yes"}
        response = second.post("/join", data=form)
        assert response.status_code == 404 and "set-cookie" not in response.headers


def test_two_joins_at_once_for_one_place(server) -> None:
    (token,) = server.study.invite(1, 1)

    def try_to_join(_: int) -> int:
        with server.client() as client:
            text = server_text
            form = {"token": token, "text": text, "consent": "yes"}
            return client.post("/join", data=form).status_code

    with server.client() as client:
        server_text = re.search(r'name="text" value="(\w+)"', client.get(f"/join/{token}").text)[1]
    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(try_to_join, range(8))) == [303] + [404] * 7


def test_rater_who_opens_another_invitation_keeps_the_place(server) -> None:
    (token,) = server.study.invite(1, 1)
    with server.join() as rater:
        assert rater.get(f"/join/{token}").headers["location"] == "/study"
        form = {"token": token, "text": "x", "consent": "yes"}
        response = rater.post("/join", data=form)
        assert response.headers["location"] == "/study"
    assert server.study.admits(token)


def test_cookie_is_renewed_on_each_visit(server) -> None:
    (token,) = server.study.invite(1, 1)
    with server.join() as rater:
        session = rater.cookies["roi_ray_rater"]
        for method, path in (
            ("GET", "/"),
            ("GET", "/study"),
            ("GET", f"/join/{token}"),
            ("POST", "/join"),
            ("POST", "/api/questions"),
        ):
            cookie = rater.request(method, path).headers["set-cookie"].split("; ")
            assert cookie[0] == f"roi_ray_rater={session}", path
            assert f"Max-Age={RATER_SECONDS}" in cookie and "HttpOnly" in cookie
    with server.client() as nobody:
        for path in ("/", "/study", f"/join/{token}"):
            assert "set-cookie" not in nobody.get(path).headers


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"consent": ""}, "Tick the box"),
        ({"consent": "no"}, "Tick the box"),
        ({"text": "0" * 64}, "changed"),
    ],
)
def test_nobody_joins_without_agreeing_to_this_text(server, change, says) -> None:
    (token,) = server.study.invite(1, 1)
    with server.client() as client:
        response = join(client, token, **change)
        assert response.status_code == 422 and says in response.text
        assert "set-cookie" not in response.headers
    assert server.study.admits(token)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"token=a&token=b", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a%d=1" % i for i in range(50)), "application/x-www-form-urlencoded", 400),
        (b"token=%ff%fe", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"token", "application/x-www-form-urlencoded", 400),
        (b"", "application/x-www-form-urlencoded; charset=utf-8", 404),
        (b"token=x", "multipart/form-data; boundary=x", 415),
        (b"token=x", "text/plain", 415),
        (b"token=x", "", 415),
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
    ],
)
def test_damaged_forms_are_refused(server, body, kind, status) -> None:
    with server.client() as client:
        response = client.post("/join", content=body, headers={"Content-Type": kind})
        assert response.status_code == status, response.text


@pytest.mark.parametrize(
    "token", ["", "x", "a" * 32, "<script>", "a" * 3000, "' OR 1=1 --", "é" * 20]
)
def test_unknown_tokens_let_nobody_in(server, token) -> None:
    with server.client() as client:
        response = client.post("/join", data={"token": token, "text": "x", "consent": "yes"})
        assert response.status_code == 404
        assert token not in response.text or len(token) < 2


def test_cookies_that_are_guessed_or_tampered_with_are_no_session(server) -> None:
    with server.join() as rater:
        session = rater.cookies["roi_ray_rater"]
    guesses = ["", "a" * 32, session[:-1], session + "a", session.swapcase(), f'"{session}', "../x"]
    with server.client() as client:
        for guess in guesses:
            headers = {"Cookie": f"roi_ray_rater={guess}"}
            assert client.post("/api/questions", headers=headers).status_code == 401, guess
            assert client.get("/study", headers=headers).status_code == 403
            assert client.get("/", headers=headers).status_code == 200
        headers = {"Cookie": f"roi_ray_admin={session}; roi_ray_rater=x"}
        assert client.get("/admin/status", headers=headers).status_code == 401


def test_rater_sees_nothing_of_another(server) -> None:
    with server.join() as one, server.join() as two:
        mine, theirs = ask(one)[0], ask(two)[0]
        assert one.get(mine["images"]["1"]).status_code == 200
        for role in ("original", "1", "2"):
            assert one.get(theirs["images"][role]).status_code == 404
        response = one.post("/api/votes", json=make_vote(theirs["id"]))
        assert (response.status_code, response.json()["error_kind"]) == (404, "UnknownAsk")
        vote = make_vote(mine["id"])
        assert one.post("/api/votes", json=vote).status_code == 201
        other = make_vote(theirs["id"], id=vote["id"])  # the id of another rater's vote
        assert two.post("/api/votes", json=other).status_code == 409
        assert ask(two)[0]["id"] == theirs["id"]


def test_consent_text_is_escaped(questions, tmp_path) -> None:
    text = '<script>alert(1)</script>\n\n{{ 7 * 7 }} & "quoted"'
    with running(questions, tmp_path, make_site(consent=text)) as server:
        (token,) = server.study.invite(1, 1)
        with server.client() as client:
            page = client.get(f"/join/{token}").text
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }} &amp; &#34;quoted&#34;" in page
