"""What the voting page asks for."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import numpy as np
import pytest

from roi_ray.votes.http.guard import passages
from roi_ray.votes.http.raters.api import AHEAD, MAX_DOWNLOADS, ROLES
from roi_ray.votes.questions.table import Questions
from tests.votes.http.studies import (
    Server,
    ask,
    make_questions,
    make_site,
    make_vote,
    running,
    send_raw,
    write_images,
)


@pytest.fixture(scope="module")
def large_questions(tmp_path_factory) -> Questions:
    """Questions about noise: images of 12 MB, more than sockets buffer."""
    folder = tmp_path_factory.mktemp("large")
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2016, 3), np.uint8)
    photos = {"gold": noise[:80, :96], "noise": noise}
    return make_questions(write_images(photos, folder, 2000), folder)


def make_head(method: str, path: str, rater: httpx.Client) -> str:
    cookie = f"roi_ray_rater={rater.cookies['roi_ray_rater']}"
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n"


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", httpx.URL(server.url).port), timeout=60)


def test_hundred_votes_at_once_are_stored_once(server) -> None:
    with server.join() as rater:
        cookies, before = dict(rater.cookies), server.study.answers
        first, second = ask(rater)
        same = make_vote(first["id"])
        bodies = [same] * 50 + [make_vote(second["id"]) for _ in range(50)]

        def send(body: dict) -> int:
            return httpx.post(
                f"{server.url}/api/votes", json=body, cookies=cookies, timeout=60
            ).status_code

        with ThreadPoolExecutor(20) as threads:
            statuses = list(threads.map(send, bodies))
        assert sorted(statuses[:50]) == [200] * 49 + [201]
        assert sorted(statuses[50:]) == [201] + [409] * 49
        assert server.study.answers == before + 2


def test_two_pages_of_a_rater_get_the_same_questions(server) -> None:
    with server.join() as rater:
        cookies = dict(rater.cookies)

        def get(_: int) -> list[str]:
            answer = httpx.post(f"{server.url}/api/questions", cookies=cookies, timeout=60).json()
            return [each["id"] for each in answer["asks"]]

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(get, range(8)))
        assert len(answers[0]) == AHEAD
        assert all(answer == answers[0] for answer in answers)


def test_vote_of_a_question_further_ahead_and_of_none(server) -> None:
    with server.join() as rater:
        first, second = ask(rater)
        assert rater.post("/api/votes", json=make_vote(second["id"])).status_code == 201
        assert rater.post("/api/votes", json=make_vote("nothing")).status_code == 404
        assert ask(rater)[0]["id"] == first["id"]


def test_training_tells_the_right_answer_and_nothing_else_does(questions, tmp_path) -> None:
    with (
        running(questions, tmp_path, make_site(), training=1, gold=0.5, repeats=0) as server,
        server.join() as rater,
    ):
        expected = []
        while asks := ask(rater):
            body = rater.post("/api/votes", json=make_vote(asks[0]["id"])).json()
            assert set(body) == {"recorded", "expected"}
            expected.append((asks[0]["training"], body["expected"]))
    assert expected[0][0] and expected[0][1] in ("1", "2")
    assert all(each == (False, None) for each in expected[1:])


def test_requests_without_a_session_are_refused(server) -> None:
    with server.client() as client:
        for path in ("/api/questions", "/api/votes"):
            response = client.post(path, json=make_vote("x"))
            assert (response.status_code, response.json()["error_kind"]) == (401, "Unauthorised")
        assert client.get("/images/x/1").status_code == 401


@pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked", b"Content-Length: 999999999"])
def test_endless_bodies_are_refused(server, head) -> None:
    request = b"POST /api/votes HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n"
    piece = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    with server.join() as rater:
        cookie = f"Cookie: roi_ray_rater={rater.cookies['roi_ray_rater']}\r\n"
        kind = "Content-Type: application/json\r\n"
    request = request.replace(b"\r\n\r\n", f"\r\n{cookie}{kind}\r\n".encode())
    answer = send_raw(server.url, request + piece * 4)
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"content-security-policy" in answer.lower()


def test_slow_body_is_given_up_and_others_are_served(questions, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(passages, "BODY_SECONDS", 1.0)
    with running(questions, tmp_path, make_site()) as server, server.join() as rater:
        head = make_head("POST", "/api/votes", rater)
        head += "Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        with connect(server) as connection:
            connection.sendall(head.encode())
            assert rater.get("/health").status_code == 200
            assert b" 408 " in connection.recv(1 << 16)


def test_image_that_is_not_read_takes_a_place_until_the_client_goes(
    large_questions, tmp_path
) -> None:
    with running(large_questions, tmp_path, make_site(), gold=0) as server, server.join() as rater:
        path = ask(rater)[0]["images"]["1"]
        size = len(rater.get(path).content)
        request = (make_head("GET", path, rater) + "\r\n").encode()
        with ExitStack() as stack:
            for _ in range(MAX_DOWNLOADS):
                connection = stack.enter_context(connect(server))
                connection.sendall(request)
                assert b" 200 " in connection.recv(1024)
            assert server.app.gate.requests == MAX_DOWNLOADS
            response = rater.get(path)
            assert response.status_code == 429 and "retry-after" in response.headers
            assert rater.post("/api/questions").status_code == 200
        while server.app.gate.requests:  # all of them are given up
            rater.get("/health")
        assert len(rater.get(path).content) == size


def test_image_that_is_read_too_slowly_is_given_up(large_questions, tmp_path, monkeypatch) -> None:
    with running(large_questions, tmp_path, make_site(), gold=0) as server, server.join() as rater:
        path = ask(rater)[0]["images"]["1"]
        size = len(rater.get(path).content)  # from now on it need not be made
        monkeypatch.setattr(passages, "DOWNLOAD_SECONDS", 1.0)
        with connect(server) as connection:
            connection.sendall((make_head("GET", path, rater) + "\r\n").encode())
            assert b" 200 " in connection.recv(1024)
            while server.app.gate.requests:
                rater.get("/health")
            assert sum(len(piece) for piece in iter(lambda: connection.recv(1 << 16), b"")) < size


def test_crop_is_the_same_for_all(questions, tmp_path) -> None:
    with running(questions, tmp_path, make_site(), crop=64) as server:
        with server.join() as one, server.join() as two:
            crops = {}
            for rater in (one, two):
                while asks := ask(rater):
                    assert (asks[0]["width"], asks[0]["height"]) == (64, 64)
                    rater.post("/api/votes", json=make_vote(asks[0]["id"]))
        for answer in server.study.read_answers():
            crops.setdefault(answer.ask.question, set()).add(answer.ask.crop)
    assert len(crops) > 3 and all(len(each) == 1 for each in crops.values())


def test_asks_survive_a_restart(questions, tmp_path) -> None:
    (tmp_path / "one").mkdir()
    with running(questions, tmp_path / "one", make_site()) as server, server.join() as rater:
        cookies, asks = dict(rater.cookies), ask(rater)
        images = [rater.get(asks[0]["images"][role]).content for role in ROLES]
    with (
        running(questions, tmp_path / "one", make_site(), crop=64) as server,
        server.client(cookies=cookies) as rater,
    ):
        again = ask(rater)
        assert again == asks  # also their size: what they show was decided before
        assert [rater.get(asks[0]["images"][r]).content for r in ("original", "1", "2")] == images


def test_study_ends_where_questions_end(questions, tmp_path) -> None:
    few = Questions(questions.table.slice(3, 1), questions.is_open[3:4], questions.allowlist)
    with running(few, tmp_path, make_site(), gold=0, repeats=0) as server, server.join() as rater:
        (only,) = ask(rater)
        body = rater.post("/api/questions").json()
        assert not body["done"]
        rater.post("/api/votes", json=make_vote(only["id"]))
        body = rater.post("/api/questions").json()
        assert body["done"] and body["asks"] == [] and body["answered"] == 1


def test_answers_are_json_that_no_browser_guesses(server) -> None:
    with server.join() as rater:
        response = rater.post("/api/questions")
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        json.loads(response.text)
