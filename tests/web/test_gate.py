"""The gate, before plain ASGI apps in a real uvicorn."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from roi_ray.runtime.logs import LOGGER
from roi_ray.service.options import Limits
from roi_ray.web import exchange
from roi_ray.web.error_answers import ErrorAnswer
from roi_ray.web.gate import COUNT_BYTES, Gate, Passage, RequestOutcome
from roi_ray.web.keys import hash_key
from tests.web.asgi_server import serving

SECONDS = 30
"""How long a test waits for what must happen."""
get, post = partial(httpx.get, timeout=SECONDS), partial(httpx.post, timeout=SECONDS)


async def count_body(scope, receive, send) -> None:
    """Answer with the number of bytes of the body."""
    size = sum([len(piece) async for piece in Request(scope, receive).stream()])
    await JSONResponse({"bytes": size})(scope, receive, send)


class Waiting:
    """An app that reads the body, then waits until it may answer."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.cancelled = threading.Event()
        self.may_answer = threading.Event()

    async def __call__(self, scope, receive, send) -> None:
        try:
            async for _ in Request(scope, receive).stream():
                pass
            self.started.release()
            while not self.may_answer.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        await JSONResponse({})(scope, receive, send)


class Outcomes:
    """Remembers how requests ended."""

    def __init__(self) -> None:
        self.ended: list[RequestOutcome] = []
        self.ends = threading.Semaphore(0)

    def begin(self, requests: int) -> None:
        assert requests > 0

    def end(self, outcome: RequestOutcome, requests: int) -> None:
        self.ended.append(outcome)
        self.ends.release()

    def wait(self) -> RequestOutcome:
        assert self.ends.acquire(timeout=SECONDS)
        return self.ended[-1]


def check_error(response: httpx.Response, status: int, kind: str) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error_kind"] == kind
    assert ("retry-after" in response.headers) == (status in (429, 503))
    return response.json()["error"]


@contextmanager
def connect(url: str, head: str) -> Iterator[socket.socket]:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as connection:
        connection.sendall(f"{head}\r\nHost: x\r\n".encode())
        yield connection


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def chunks(number: int) -> Iterator[bytes]:
    for _ in range(number):
        yield bytes(1 << 16)


def test_body_within_the_limits_reaches_the_app() -> None:
    outcomes = Outcomes()
    gate = Gate(count_body, Limits(max_body_bytes=1 << 20), observer=outcomes)
    with serving(gate) as url, httpx.Client(base_url=url, timeout=SECONDS) as client:
        assert client.post("/x", content=bytes(1 << 20)).json() == {"bytes": 1 << 20}
        assert client.post("/x", content=chunks(16)).json() == {"bytes": 1 << 20}
        assert client.get("/x").json() == {"bytes": 0}
        for _ in range(3):
            outcome = outcomes.wait()
        assert (outcome.path, outcome.status, outcome.size) == ("/x", 200, 0)
    assert (gate.requests, gate.waiting_bytes) == (0, 0)
    assert sorted(each.size for each in outcomes.ended) == [0, 1 << 20, 1 << 20]


@pytest.mark.parametrize(
    "make_body", [lambda: bytes((1 << 20) + 1), lambda: chunks(17), lambda: chunks(2000)]
)
def test_body_that_is_too_large_gets_413_with_and_without_a_length(make_body) -> None:
    outcomes = Outcomes()
    gate = Gate(count_body, Limits(max_body_bytes=1 << 20), observer=outcomes)
    with serving(gate) as url:
        response = post(url, content=make_body())
        assert "1,048,576 bytes" in check_error(response, 413, "BodyTooLarge")
        assert response.headers["connection"] == "close"
        # What comes after the limit is not kept.
        assert outcomes.wait().size <= (1 << 20) + (1 << 18)
    assert (gate.requests, gate.waiting_bytes) == (0, 0)


def test_body_larger_than_all_bodies_may_be_gets_413_and_not_429() -> None:
    gate = Gate(count_body, Limits(max_body_bytes=100, max_waiting_bytes=10))
    with serving(gate) as url:
        check_error(post(url, content=bytes(11)), 413, "BodyTooLarge")
        assert post(url, content=bytes(10)).json() == {"bytes": 10}


def test_too_many_requests_get_429_until_one_ends() -> None:
    app = Waiting()
    with serving(Gate(app, Limits(max_requests=1))) as url:
        first = threading.Thread(target=get, args=(url,))
        first.start()
        assert app.started.acquire(timeout=SECONDS)
        check_error(get(url), 429, "TooManyRequests")
        app.may_answer.set()
        first.join()
        assert get(url).status_code == 200


@pytest.mark.parametrize("make_body", [lambda: bytes(60), lambda: iter([bytes(60)])])
def test_too_many_bytes_in_all_get_429(make_body) -> None:
    app = Waiting()
    gate = Gate(app, Limits(max_waiting_bytes=100))
    with serving(gate) as url:
        first = threading.Thread(target=post, args=(url,), kwargs={"content": bytes(60)})
        first.start()
        assert app.started.acquire(timeout=SECONDS)
        assert gate.waiting_bytes == 60
        check_error(post(url, content=make_body()), 429, "TooManyRequests")
        app.may_answer.set()
        first.join()
        assert post(url, content=bytes(60)).status_code == 200


def test_refused_body_takes_no_bytes_while_its_rest_is_read() -> None:
    waiting = Waiting()

    async def app(scope, receive, send) -> None:
        await (waiting if scope["path"] == "/wait" else count_body)(scope, receive, send)

    gate = Gate(
        app,
        Limits(max_waiting_bytes=100),
        passage=lambda path: Passage(is_counted=path != "/health"),
    )
    with serving(gate) as url, connect(url, "POST / HTTP/1.1") as slow:
        arguments = {"args": (f"{url}/wait",), "kwargs": {"content": bytes(60)}}
        first = threading.Thread(target=post, **arguments)
        first.start()
        assert waiting.started.acquire(timeout=SECONDS)
        slow.sendall(b"Transfer-Encoding: chunked\r\n\r\n3c\r\n" + bytes(60) + b"\r\n")
        assert slow.recv(12) == b"HTTP/1.1 429"
        assert gate.waiting_bytes == 60
        for path in ("/", "/health"):
            assert get(url + path).json() == {"bytes": 0}
        waiting.may_answer.set()
        first.join()


def test_health_is_answered_while_requests_and_their_bytes_are_too_many() -> None:
    app = Waiting()
    app.may_answer.set()
    limits = Limits(max_requests=1, max_waiting_bytes=1)
    gate = Gate(app, limits, passage=lambda path: Passage(is_counted=path != "/health"))
    with serving(gate) as url, connect(url, "POST / HTTP/1.1") as slow:
        slow.sendall(b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert slow.recv(12) == b"HTTP/1.1 100"
        check_error(get(url), 429, "TooManyRequests")
        assert get(f"{url}/health").status_code == 200


def test_length_of_a_body_is_taken_before_it_arrives_and_given_back() -> None:
    gate = Gate(count_body, Limits(max_waiting_bytes=100))
    with serving(gate) as url:
        with connect(url, "POST / HTTP/1.1") as slow:
            slow.sendall(b"Expect: 100-continue\r\nContent-Length: 60\r\n\r\n")
            assert slow.recv(12) == b"HTTP/1.1 100"
            check_error(post(url, content=bytes(60)), 429, "TooManyRequests")
            assert post(url, content=bytes(40)).json() == {"bytes": 40}
            slow.sendall(bytes(60))
            while b'{"bytes":60}' not in (answer := slow.recv(4096)):
                assert answer
        assert post(url, content=bytes(100)).json() == {"bytes": 100}


def test_files_that_a_request_names_count_as_its_bytes() -> None:
    async def name_file(scope, receive, send) -> None:
        size = int(scope["path"].strip("/"))
        await scope["state"][COUNT_BYTES](size)
        await JSONResponse({})(scope, receive, send)

    gate = Gate(name_file, Limits(max_body_bytes=10))
    with serving(gate) as url:
        assert get(f"{url}/10").status_code == 200
        check_error(get(f"{url}/11"), 413, "BodyTooLarge")
    assert gate.waiting_bytes == 0


def test_body_that_does_not_arrive_gets_408() -> None:
    gate = Gate(count_body, Limits(timeout_seconds=0.2))
    with serving(gate) as url, connect(url, "POST / HTTP/1.1") as connection:
        connection.sendall(b"Content-Length: 10\r\n\r\n12345")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"error_kind": "RequestTimeout"' in answer
    assert gate.requests == 0


def test_body_may_have_less_time_than_the_answer() -> None:
    async def answer_later(scope, receive, send) -> None:
        await Request(scope, receive).body()
        await asyncio.sleep(0.3)
        await JSONResponse({})(scope, receive, send)

    gate = Gate(
        answer_later,
        Limits(timeout_seconds=0.01),
        passage=lambda _: Passage(body_seconds=0.1, answer_seconds=SECONDS),
    )
    with serving(gate) as url:
        with connect(url, "POST / HTTP/1.1") as connection:
            # In one piece: a client that is interrupted after the head would be late.
            connection.sendall(b"Connection: close\r\nContent-Length: 1\r\n\r\nx")
            assert read_all(connection).startswith(b"HTTP/1.1 200 ")
        with connect(url, "POST / HTTP/1.1") as connection:
            connection.sendall(b"Content-Length: 100\r\n\r\n12345")
            assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_refusals_are_written_by_the_function_that_is_given() -> None:
    def write(path: str, answer: ErrorAnswer) -> Response:
        return PlainTextResponse(f"{path}: {answer.kind}", answer.code)

    gate = Gate(count_body, Limits(max_body_bytes=1), write_refusal=write)
    with serving(gate) as url:
        response = post(f"{url}/x", content=b"xx")
    assert (response.status_code, response.text) == (413, "/x: BodyTooLarge")


def test_late_answer_is_504_and_the_app_is_cancelled() -> None:
    app = Waiting()
    gate = Gate(app, Limits(timeout_seconds=0.2))
    with serving(gate) as url, connect(url, "POST / HTTP/1.1") as connection:
        # In one piece: a client that is interrupted after the head would be late itself.
        connection.sendall(b"Connection: close\r\nContent-Length: 1\r\n\r\nx")
        answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 504 ") and b'"error_kind": "AnswerTimeout"' in answer
        assert app.cancelled.wait(SECONDS)
    assert gate.requests == 0


def test_app_that_does_not_end_when_cancelled_still_counts(monkeypatch) -> None:
    monkeypatch.setattr("roi_ray.web.gate.LINGER_SECONDS", 0.1)
    may_end, outcomes = threading.Event(), Outcomes()

    async def stubborn(scope, receive, send) -> None:
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        await JSONResponse({"too": "late"})(scope, receive, send)

    gate = Gate(stubborn, Limits(timeout_seconds=0.1), observer=outcomes)
    with serving(gate) as url:
        check_error(get(url), 504, "AnswerTimeout")
        assert gate.requests == 1
        may_end.set()
        assert outcomes.wait().status == 504
        assert gate.requests == 0


def test_closed_gate_refuses_new_requests_and_finishes_those_in_progress() -> None:
    app, answers = Waiting(), []
    gate = Gate(app, Limits(), passage=lambda path: Passage(is_counted=path != "/health"))
    with serving(gate) as url:
        first = threading.Thread(target=lambda: answers.append(get(url)))
        first.start()
        assert app.started.acquire(timeout=SECONDS)
        gate.close()
        check_error(post(url, content=b"x"), 503, "ServiceClosing")
        assert gate.requests == 1
        app.may_answer.set()
        assert get(f"{url}/health").status_code == 200
        first.join()
    assert [answer.status_code for answer in answers] == [200]
    assert gate.requests == 0


def test_requests_without_a_key_get_401_before_their_body_is_read() -> None:
    def passage(path: str) -> Passage:
        return Passage(needs_key=path != "/health")

    outcomes = Outcomes()
    gate = Gate(count_body, Limits(), [hash_key("a"), hash_key("b")], passage, outcomes)
    with serving(gate) as url:
        response = post(url, content=bytes(100))
        check_error(response, 401, "Unauthorised")
        assert response.headers["www-authenticate"] == "Bearer"
        assert outcomes.wait().size == 0
        key = {"Authorization": "Bearer b"}
        assert post(url, content=bytes(100), headers=key).json() == {"bytes": 100}
        assert get(f"{url}/health").status_code == 200


def test_many_refused_requests_take_no_place_of_others() -> None:
    gate = Gate(count_body, Limits(max_requests=1), [hash_key("a")])
    head = "POST / HTTP/1.1"
    with serving(gate) as url, connect(url, head) as slow, connect(url, head) as slower:
        for connection in (slow, slower):  # their bodies never come
            connection.sendall(b"Content-Length: 10\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 401"
        assert get(url, headers={"Authorization": "Bearer a"}).status_code == 200


def test_defect_of_the_app_is_500_without_a_traceback(caplog) -> None:
    async def failing(scope, receive, send) -> None:
        raise ValueError("of\nthe app")

    with serving(Gate(failing, Limits())) as url, caplog.at_level(logging.INFO, LOGGER.name):
        text = check_error(get(url), 500, "InternalError")
    assert "the app" not in text
    (record,) = [each for each in caplog.records if each.name == LOGGER.name]
    assert record.getMessage().startswith(r"/: ValueError: of\nthe app (")
    assert "test_gate.py" in record.getMessage() and record.exc_info is None


def test_app_that_does_not_answer_is_a_defect() -> None:
    async def silent(scope, receive, send) -> None:
        pass

    with serving(Gate(silent, Limits())) as url:
        check_error(get(url), 500, "InternalError")


def test_answer_that_breaks_off_closes_the_connection() -> None:
    async def breaking(scope, receive, send) -> None:
        headers = [(b"content-length", b"10")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        raise ValueError("of the app")

    gate = Gate(breaking, Limits())
    with serving(gate) as url, pytest.raises(httpx.RemoteProtocolError):
        get(url)
    assert gate.requests == 0


@pytest.mark.parametrize("body", [b"", b"x" * 10, b"x" * 3])
def test_client_that_goes_away_has_its_app_cancelled(body) -> None:
    """Without a body; when it has sent it; and in the middle of it."""
    app, outcomes = Waiting(), Outcomes()
    gate = Gate(app, Limits(), observer=outcomes)
    length = min(10, len(body) * 10)
    with serving(gate) as url:
        with connect(url, "POST / HTTP/1.1") as connection:
            connection.sendall(f"Content-Length: {length}\r\n\r\n".encode() + body)
            if len(body) == length:
                assert app.started.acquire(timeout=SECONDS)
        assert outcomes.wait().status == 0
        assert app.cancelled.wait(SECONDS)
    assert (gate.requests, gate.waiting_bytes) == (0, 0)


async def ignore_body(scope, receive, send) -> None:
    await JSONResponse({"error": "not found"}, 404)(scope, receive, send)


def test_answer_to_an_unread_body_arrives_and_the_connection_is_closed(monkeypatch) -> None:
    monkeypatch.setattr(exchange, "LINGER_BYTES", 1 << 20)
    with serving(Gate(ignore_body, Limits())) as url:
        for body in (bytes(1 << 21), chunks(100)):
            response = post(url, content=body)
            assert response.json() == {"error": "not found"}
            assert response.headers["connection"] == "close"
        assert "connection" not in post(url, content=b"").headers


def test_client_that_waits_before_it_sends_its_body_is_answered_at_once() -> None:
    gate = Gate(count_body, Limits(max_body_bytes=100))
    with serving(gate) as url:
        with connect(url, "POST / HTTP/1.1") as connection:
            connection.sendall(b"Expect: 100-continue\r\nContent-Length: 101\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 413"
        with connect(url, "POST / HTTP/1.1") as connection:
            connection.sendall(b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 100"
            connection.sendall(b"12345")
            while b'{"bytes":5}' not in (answer := connection.recv(4096)):
                assert answer


@pytest.mark.parametrize("length", ["1" * 30, "-1", "x", "", "1, 1"])
def test_odd_content_length_is_not_trusted(length) -> None:
    gate, sent = Gate(count_body, Limits(max_body_bytes=10)), []
    piece = {"type": "http.request", "body": bytes(8), "more_body": True}
    messages = [piece, piece, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"content-length", length.encode())],
    }
    asyncio.run(gate(scope, receive, send))
    assert sent[0]["status"] == 413


def test_websocket_is_refused_and_lifespan_reaches_the_app() -> None:
    seen, sent = [], []

    async def app(scope, receive, send) -> None:
        seen.append(scope["type"])

    async def send(message):
        sent.append(message)

    gate = Gate(app, Limits())
    asyncio.run(gate({"type": "websocket", "path": "/"}, None, send))
    asyncio.run(gate({"type": "lifespan"}, None, send))
    assert (seen, sent) == (["lifespan"], [{"type": "websocket.close", "code": 1000, "reason": ""}])
