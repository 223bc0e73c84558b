"""One request and its answer on their way through the gate."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from roi_ray.web.error_answers import ErrorAnswer

LINGER_BYTES = 4 << 20
LINGER_SECONDS = 1.0
"""How much of a refused body is read before its connection is closed, and for how long.

A connection that is closed while bytes come in is reset, and the client may then lose the answer.
Most clients stop sending when they see it.
"""
_MAX_DIGITS = 19
"""Digits of a length of a body."""


class Exchange:
    """One request and its answer.

    Args:
        scope: ASGI's scope of the request.
        receive: ASGI's function that receives the body.
        send: ASGI's function that sends the answer.
        count: called with the number of bytes of each piece of the body before the app gets it;
            returns why the request is refused, if it is.
        write_refusal: makes the answer to a request that is refused.

    Attributes:
        stopped: ends when the request must be given up: with the answer, or with None if the client
            is gone.
        body_ended: whether the whole body has arrived.
        status: status of the answer; 0 as long as there is none.
        answered: whether the whole answer was sent.
        is_shut: whether what the app sends is dropped.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        count: Callable[[int], ErrorAnswer | None],
        write_refusal: Callable[[ErrorAnswer], Response],
    ) -> None:
        self._scope, self._receive, self._send, self._count = scope, receive, send, count
        self._write_refusal = write_refusal
        self.stopped: asyncio.Future[ErrorAnswer | None] = asyncio.Future()
        self.body_ended = not _has_body(scope)
        self.status = 0
        self.answered = False
        self._is_end_given = False
        self.is_shut = False
        self._watcher: asyncio.Task[None] | None = None

    async def count(self, size: int) -> None:
        """Count bytes that the request takes; past a limit, wait for the end that comes."""
        if refusal := self._count(size):
            self.stop(refusal)
        if self.stopped.done():
            await asyncio.Event().wait()  # until the gate cancels the app

    def stop(self, answer: ErrorAnswer | None) -> None:
        """Ask the gate to give up the request."""
        if not self.stopped.done():
            self.stopped.set_result(answer)

    def shut(self) -> None:
        """Drop what the app sends from now on."""
        self.is_shut = True

    def watch(self) -> None:
        """Notice when the client goes away after it sent the whole body."""
        if self._watcher is None and self.body_ended:
            self._watcher = asyncio.create_task(self._wait_for_disconnect())

    def end(self) -> None:
        """Stop to watch the client."""
        if self._watcher is not None:
            self._watcher.cancel()

    async def receive(self) -> Message:
        """Receive a piece of the body, and count it: the app's `receive`."""
        if self.body_ended:
            if not self._is_end_given:
                self._is_end_given = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await asyncio.shield(self.stopped)
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.stop(None)
        await self.count(len(message.get("body", b"")))
        if not message.get("more_body", False):
            self.body_ended = self._is_end_given = True
            self.watch()
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer: the app's `send`."""
        if not self.is_shut:
            await self._forward(message)

    async def refuse(self, answer: ErrorAnswer) -> None:
        """Send an error instead of an answer; nothing if the app has begun one."""
        self.shut()
        if self.status:
            return
        response = self._write_refusal(answer)
        head = {"status": response.status_code, "headers": response.raw_headers}
        await self._forward({"type": "http.response.start", **head})
        await self._forward({"type": "http.response.body", "body": bytes(response.body)})

    async def _forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if not self.body_ended:
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_last and not self.body_ended:
            # The answer has a length, so the client knows its end.
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b""}
        self.answered = self.answered or is_last
        await self._send(message)

    async def _linger(self) -> None:
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while size < LINGER_BYTES:
                    message = await self._receive()
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return
                    size += len(message.get("body", b""))

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.answered:
            self.stop(None)


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Return the values of a header; its name is in lower case."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return [value for key, value in headers if key.lower() == name]


def content_length(scope: Scope) -> int | None:
    """Return the length of the body in bytes, if the client says it."""
    values = header_values(scope, b"content-length")
    is_number = len(values) == 1 and values[0].isdigit() and len(values[0]) < _MAX_DIGITS
    return int(values[0]) if is_number else None


def _has_body(scope: Scope) -> bool:
    lengths = header_values(scope, b"content-length")
    return lengths not in ([], [b"0"]) or bool(header_values(scope, b"transfer-encoding"))
