"""Services, proxies and connections that fail, as real servers on loopback."""

import re
import socket
import threading

import anyio
import pytest

from roi_ray.client import AsyncClient, Client
from roi_ray.errors import (
    ImageReadError,
    NotAllowed,
    ServiceError,
    ServiceUnavailable,
    SizeMismatch,
    StorageError,
    UsageError,
)
from tests.client.scripted_server import (
    ScriptedServer,
    drop,
    failure,
    reply,
    stall,
    trickle,
    truncate,
)

pytestmark = pytest.mark.usefixtures("short_pauses")

ABOUT = reply(200, {"roi_ray": "0.1.0"})
BUSY = failure(429, "TooManyRequests", "64 requests at a time", retry_after="0")
NO_IMAGE = {
    **{"roi_ray": "0.1.0", "scoring_version": 4, "settings": {}, "weights": {}},
    **{"reference": {"name": "x", "sha256": "0"}, "mask": None, "images": []},
}
PROXY_PAGE = reply(502, b"<html><h1>Bad gateway</h1></html>", content_type="text/html")


@pytest.mark.parametrize(
    "replies",
    [
        [failure(503, "ServiceClosing", retry_after="0")] * 2,
        [BUSY] * 3,
        [failure(408, "RequestTimeout"), failure(504, "AnswerTimeout")],
        [drop, truncate, drop],
        [PROXY_PAGE],
        [reply(status, b"Path not found", content_type="text/plain") for status in (404, 500)],
    ],
    ids=["closing", "busy", "late", "dropped", "proxy", "died"],
)
def test_failures_that_may_pass_are_retried(connect, replies):
    with ScriptedServer(*replies, ABOUT).run() as server, connect(server.url) as client:
        assert client.about() == {"roi_ray": "0.1.0"}
    assert len(server.received) == len(replies) + 1


@pytest.mark.parametrize(
    ("last", "status", "kind", "text"),
    [
        (failure(503, "ServiceClosing", "shuts down"), 503, "ServiceClosing", "shuts down"),
        (failure(503, "StorageUnavailable", "S3"), 503, "StorageUnavailable", "S3"),
        (reply(404, b"404 page not found"), 404, None, "another server than roi-ray's; check the"),
        (PROXY_PAGE, 502, None, "HTTP 502 Bad Gateway, from a proxy or another server"),
        (drop, None, None, "Server disconnected"),
    ],
)
def test_error_after_all_retries_says_what_failed_and_how_often(connect, last, status, kind, text):
    with (
        ScriptedServer(last).run() as server,
        connect(server.url, retries=2) as client,
        pytest.raises(ServiceUnavailable, match=r"tried 3 times in \d+ s") as caught,
    ):
        client.about()
    assert (caught.value.status, caught.value.kind) == (status, kind)
    assert f"{server.url}/v1/about: " in str(caught.value) and text in str(caught.value)
    assert len(server.received) == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "InvalidRequest"),
        (401, "Unauthorised"),
        (404, "NotFound"),
        (413, "BodyTooLarge"),
        (422, "InvalidRequest"),
        (500, "InternalError"),
    ],
)
def test_refusals_are_raised_at_once(connect, status, kind):
    with (
        ScriptedServer(failure(status, kind, "why")).run() as server,
        connect(server.url) as client,
        pytest.raises(ServiceError, match=f"^{kind}: why$") as caught,
    ):
        client.score(b"reference", b"image")
    assert not isinstance(caught.value, ServiceUnavailable)
    assert (caught.value.status, caught.value.kind) == (status, kind)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(422, ImageReadError), (422, SizeMismatch), (403, NotAllowed), (422, StorageError)],
)
def test_errors_about_the_reference_are_of_the_type_that_score_raises(connect, status, error):
    answer = failure(status, error.__name__, "reference: why")
    with (
        ScriptedServer(answer).run() as server,
        connect(server.url) as client,
        pytest.raises(error, match=r"^reference: why$"),
    ):
        client.score(b"reference", b"image")


def test_kind_that_is_no_error_of_an_image_is_not_raised_as_one(connect):
    for kind in ("UsageError", "ImageTypo", "annotations", "RoiRayError"):
        with (
            ScriptedServer(failure(422, kind)).run() as server,
            connect(server.url) as client,
            pytest.raises(ServiceError) as caught,
        ):
            client.about()
        assert type(caught.value) is ServiceError and caught.value.kind == kind


LATE = r"no complete answer within 0\.\d+ s; tried once"


def test_server_that_does_not_answer_costs_the_timeout_and_no_more(connect):
    done = threading.Event()
    with ScriptedServer(stall(done)).run() as server, connect(server.url, timeout=0.3) as client:
        with pytest.raises(ServiceUnavailable, match=LATE):
            client.about()
        done.set()


def test_server_that_answers_byte_by_byte_costs_the_timeout_and_no_more(connect):
    done = threading.Event()
    with ScriptedServer(trickle(done)).run() as server, connect(server.url, timeout=0.3) as client:
        with pytest.raises(ServiceUnavailable, match=LATE):
            client.about()
        done.set()


def test_pause_longer_than_the_timeout_is_not_waited_for(connect):
    busy = failure(503, "ServiceClosing", "maintenance", retry_after="3600")
    with (
        ScriptedServer(busy).run() as server,
        connect(server.url) as client,
        pytest.raises(ServiceUnavailable, match="maintenance; tried once; it asks to wait 3600 s"),
    ):
        client.about()


def test_no_server_is_an_error_that_names_the_url(connect):
    with socket.socket() as reserved:  # bound and not listening: connections are refused
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        with connect(url, retries=1) as client:
            with pytest.raises(ServiceUnavailable, match=f"^{url}/v1/about: .*tried 2 times"):
                client.about()
            assert client.is_ready() is False
            with pytest.raises(ServiceUnavailable, match=f"^{url} is not ready after 0 s: "):
                client.wait_until_ready(0)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (reply(200, b"<html>Log in</html>", content_type="text/html"), "HTTP 200, text/html"),
        (reply(200, b'{"images": [{"image"'), "is not JSON"),
        (reply(200, b"[1, 2]"), "is not JSON"),
        (reply(200, {"images": []}), "lacks a value"),
        (reply(200, NO_IMAGE), "lacks a value"),
        (reply(301, location="https://other/"), "leads to https://other/; give that URL"),
        (reply(405, b"Not allowed"), "HTTP 405 Method Not Allowed, from a proxy or another server"),
    ],
)
def test_answer_of_something_else_is_one_clear_error(connect, answer, text):
    with (
        ScriptedServer(answer).run() as server,
        connect(server.url) as client,
        pytest.raises(ServiceError, match=re.escape(text)),
    ):
        client.score(b"reference", b"image")
    assert len(server.received) == 1


def test_closed_client_says_so() -> None:
    client = Client("http://127.0.0.1:9")
    client.close()
    with pytest.raises(UsageError, match="this client is closed"):
        client.about()

    async def ask() -> None:
        client = AsyncClient("http://127.0.0.1:9")
        await client.aclose()
        await client.about()

    with pytest.raises(UsageError, match="this client is closed"):
        anyio.run(ask)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_unusable_proxy_of_the_environment_is_a_usage_error(kind, monkeypatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "ftp://127.0.0.1:1")
    with pytest.raises(UsageError, match="a proxy that ALL_PROXY, HTTP_PROXY or HTTPS_PROXY names"):
        kind("http://127.0.0.1:9")


def test_key_is_sent_and_not_shown(connect):
    with (
        ScriptedServer(ABOUT).run() as server,
        connect(server.url, api_key="open-sesame") as client,
    ):
        client.about()
        assert "sesame" not in repr(client)
    assert server.received[0].headers["authorization"] == "Bearer open-sesame"


def test_ready_when_the_service_says_so(connect):
    closed = failure(503, "ServiceClosing")
    with (
        ScriptedServer(closed, closed, reply(200, {})).run() as server,
        connect(server.url) as client,
    ):
        assert client.is_ready() is False
        client.wait_until_ready(60)
        assert client.is_ready() is True


def test_service_below_a_path_is_found(connect):
    with ScriptedServer(ABOUT).run() as server, connect(f"{server.url}/roi/ray/") as client:
        client.about()
    assert server.received[0].path == "/roi/ray/v1/about"


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "127.0.0.1:8000"},
        {"url": "ftp://host"},
        {"url": "http://user:secret@host"},
        {"url": "http://host", "api_key": "line\nbreak"},
        {"url": "http://host", "timeout": 0},
        {"url": "http://host", "retries": -1},
    ],
)
def test_unusable_arguments_are_usage_errors(connect, arguments):
    with pytest.raises(UsageError) as caught, connect(**arguments):
        pass
    assert "secret" not in str(caught.value)
