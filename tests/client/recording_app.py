"""An ASGI app that keeps which requests another one is sent, and of how many bytes."""

from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Recorded:
    """A request; `size` counts the bytes of its body as they arrive."""

    method: str
    path: str
    size: int = 0


@dataclass
class RecordingApp:
    """Passes requests to an app, and keeps them."""

    app: ASGIApp
    requests: list[Recorded] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        recorded = Recorded(scope["method"], scope["path"])
        self.requests.append(recorded)

        async def count() -> Message:
            message = await receive()
            recorded.size += len(message.get("body", b""))
            return message

        await self.app(scope, count, send)
