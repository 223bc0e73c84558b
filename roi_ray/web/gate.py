"""Limits, keys and an orderly end: what every request passes before the app sees it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from roi_ray.web.defects import log_defect
from roi_ray.web.error_answers import ErrorAnswer, internal_error
from roi_ray.web.exchange import LINGER_SECONDS, Exchange, content_length, header_values
from roi_ray.web.json_answers import error_response
from roi_ray.web.keys import is_authorised, parse_hashes
from roi_ray.web.limits import RequestLimits
from roi_ray.web.request_bytes import RequestBytes, WaitingBytes

COUNT_BYTES = "count_bytes"
"""Key of the request's state: an async function that counts more bytes that the request takes, such
as files that it names. Past a limit it waits to be cancelled: the gate refuses the request."""


@dataclass(frozen=True)
class Passage:
    """What the gate asks of a request for a path.

    Attributes:
        needs_key: whether it needs an API key, if keys are configured.
        is_counted: whether it counts as a request in progress, and is refused where there are too
            many or the service is closing.
        log_name: what the log calls the path, if it must not have the path itself.
        body_seconds: seconds until the body must have arrived (408); None as for the answer.
        answer_seconds: seconds until the whole answer must be sent (504); None for the limits'
            `timeout_seconds`.
    """

    needs_key: bool = True
    is_counted: bool = True
    log_name: str | None = None
    body_seconds: float | None = None
    answer_seconds: float | None = None


@dataclass(frozen=True)
class RequestOutcome:
    """How a request ended.

    Attributes:
        path: its path, without that of the service.
        status: status of the answer; 0 if the client went away before.
        seconds: from the request's first byte to its end.
        size: bytes of its body that arrived, and of the files that it named.
    """

    path: str
    status: int
    seconds: float
    size: int


class Observer(Protocol):
    """Measures the requests."""

    def begin(self, requests: int) -> None:
        """A request that counts has begun; so many are in progress."""

    def end(self, outcome: RequestOutcome, requests: int) -> None:
        """A request has ended; so many are in progress."""


class Gate:
    """An ASGI app that guards another one.

    It counts the requests in progress and the bytes that they take, and refuses a request: 401
    without a key, before its body is read; 503 once the gate is closed; 429 where others take the
    place or the memory; 413 for a body that is too large, also one that says no length; 408 where
    the body takes too long, and 504 where the answer does. The app is cancelled when it is late, or
    when the client is gone. Its errors are answered with 500. One gate serves one event loop.

    Args:
        app: the ASGI app.
        limits: what is accepted.
        key_hashes: SHA-256 of each API key, in hexadecimal.
        passage: what a path asks for.
        observer: measures the requests.
        write_refusal: makes the answer to a request of a path that is refused.

    Attributes:
        requests: number of requests in progress that count.
        is_closed: whether new requests are refused.

    Raises:
        UsageError: a hash is not a SHA-256 in hexadecimal.

    Examples:
        >>> async def app(scope, receive, send):
        ...     ...
        >>> gate = Gate(app, RequestLimits(max_requests=8))
        >>> gate.close()
        >>> gate.is_closed, gate.requests
        (True, 0)
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: RequestLimits,
        key_hashes: Sequence[str] = (),
        passage: Callable[[str], Passage] = lambda _: Passage(),
        observer: Observer | None = None,
        write_refusal: Callable[[str, ErrorAnswer], Response] = lambda _, answer: error_response(
            answer
        ),
    ) -> None:
        self._app, self._limits = app, limits
        self._hashes = parse_hashes(key_hashes)
        self._passage, self._observer = passage, observer
        self._write_refusal = write_refusal
        self._waiting = WaitingBytes(limits)
        self.requests = 0
        self.is_closed = False

    @property
    def waiting_bytes(self) -> int:
        """Number of bytes that the requests in progress take."""
        return self._waiting.number

    def close(self) -> None:
        """Refuse new requests; those in progress go on. Any thread may call it."""
        self.is_closed = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guard(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000, "reason": ""})

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, size = time.perf_counter(), RequestBytes(self._waiting)
        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
        passage = self._passage(path)
        exchange = Exchange(
            scope, receive, send, size.count, lambda answer: self._write_refusal(path, answer)
        )
        refusal = self._check_entry(scope, passage, size)
        # One that is refused does not count: while its body is read, it takes no other one's place.
        is_counted = passage.is_counted and refusal is None
        self.requests += is_counted
        if self._observer and is_counted:
            self._observer.begin(self.requests)
        try:
            if refusal is None:
                scope = {**scope, "state": {**scope.get("state", {}), COUNT_BYTES: exchange.count}}
                await self._run(scope, passage, exchange, size)
            else:
                await exchange.refuse(refusal)
        finally:
            exchange.end()
            self.requests -= is_counted
            size.release()
            if self._observer:
                seconds = time.perf_counter() - start
                outcome = RequestOutcome(path, exchange.status, seconds, size.arrived)
                self._observer.end(outcome, self.requests)

    def _check_entry(
        self, scope: Scope, passage: Passage, size: RequestBytes
    ) -> ErrorAnswer | None:
        """Say why a request is refused before its body is read; None if it is not."""
        authorization = header_values(scope, b"authorization")
        if passage.needs_key and not is_authorised(authorization, self._hashes):
            return ErrorAnswer(
                "Unauthorised",
                "send a key that opens this service: Authorization: Bearer KEY",
                headers=(("WWW-Authenticate", "Bearer"),),
            )
        if not passage.is_counted:
            return None
        if self.is_closed:
            return ErrorAnswer("ServiceClosing", "the service is closing; ask again later")
        if self.requests >= self._limits.max_requests:
            return ErrorAnswer(
                "TooManyRequests",
                f"{self._limits.max_requests} requests are in progress; ask again later",
            )
        return size.take(content_length(scope) or 0)

    async def _run(
        self, scope: Scope, passage: Passage, exchange: Exchange, size: RequestBytes
    ) -> None:
        """Run the app until it ends, is late, or its request must be given up."""
        log_name = passage.log_name or scope["path"]
        app = asyncio.create_task(_run_app(self._app, scope, exchange, log_name))
        exchange.watch()
        try:
            seconds = await self._wait(passage, exchange, app)
            if not app.done():
                exchange.shut()
                app.cancel()
                # It may still be reading the body.
                await asyncio.wait({app}, timeout=LINGER_SECONDS)
                is_late = not exchange.stopped.done()
                answer = _late(exchange, seconds) if is_late else exchange.stopped.result()
                if app.done():  # then it keeps nothing, while the rest of the body is read
                    size.release()
                if answer is not None:
                    await exchange.refuse(answer)
        finally:
            exchange.shut()
            app.cancel()
            await asyncio.wait({app})
            if not app.cancelled() and (error := app.exception()):
                log_defect(log_name, error)

    async def _wait(self, passage: Passage, exchange: Exchange, app: asyncio.Future[None]) -> float:
        """Wait until the app ends or must be cancelled; return after how many seconds."""
        answer_seconds = passage.answer_seconds or self._limits.timeout_seconds
        body_seconds = min(passage.body_seconds or answer_seconds, answer_seconds)
        events: list[asyncio.Future[Any]] = [app, exchange.stopped]
        first = asyncio.FIRST_COMPLETED
        done, _ = await asyncio.wait(events, timeout=body_seconds, return_when=first)
        if done or not exchange.body_ended:
            return body_seconds
        rest = answer_seconds - body_seconds
        await asyncio.wait(events, timeout=rest, return_when=first)
        return answer_seconds


def _late(exchange: Exchange, seconds: float) -> ErrorAnswer:
    if not exchange.body_ended:
        return ErrorAnswer(
            "RequestTimeout",
            f"the request did not arrive within {seconds:g} seconds; send less at a time",
        )
    return ErrorAnswer(
        "AnswerTimeout",
        f"there is no answer after {seconds:g} seconds; ask for less at a time, or ask again "
        "when the server has less to do",
    )


async def _run_app(app: ASGIApp, scope: Scope, exchange: Exchange, log_name: str) -> None:
    """Run the app; if it fails, answer for it."""
    try:
        await app(scope, exchange.receive, exchange.send)
    except Exception as error:
        log_defect(log_name, error)
    if not exchange.status and not exchange.is_shut:
        await exchange.refuse(internal_error())
