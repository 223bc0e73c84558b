"""Answers that are sent in pieces, as fast as the client takes them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE_BYTES = 64 << 10


class PiecewiseResponse(Response):
    """An answer of many bytes.

    A server keeps what a client has not taken yet. It lets the app wait after each piece, so that
    it keeps one, and a request is in progress until the client has all.

    Args:
        content: the bytes.
        headers: more headers.
        media_type: type of the content.
        during: entered while the answer is sent.
    """

    def __init__(
        self,
        content: bytes,
        headers: Mapping[str, str],
        media_type: str,
        during: AbstractContextManager[None] | None = None,
    ) -> None:
        super().__init__(content, 200, dict(headers), media_type)
        self._content, self._during = content, during or nullcontext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        with self._during:
            head = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **head})
            for start in range(0, max(1, len(self._content)), PIECE_BYTES):
                end = start + PIECE_BYTES
                message = {"body": self._content[start:end], "more_body": end < len(self._content)}
                await send({"type": "http.response.body", **message})
