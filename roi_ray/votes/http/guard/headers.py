"""Headers of every answer: what browsers must not do with it."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
"""Only this server's own files: no inline script, no inline style, no frame, no other host, and no
HTML that scripts make of texts."""

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # `no-referrer` would make browsers send `Origin: null` with forms, also with our own ones.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), "
    "payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Headers of every answer."""

NO_STORE = "no-store"
"""`Cache-Control` of answers that say no other one."""

IMMUTABLE = "max-age=31536000, immutable"
"""`Cache-Control` of what a URL always means: a year."""

IMAGES = "private, max-age=86400, immutable"
"""`Cache-Control` of images: a day, as several people may use a computer."""

_HSTS = "max-age=31536000"


class SecureHeaders:
    """An ASGI app that adds headers to every answer of another one.

    Args:
        app: the ASGI app.
        is_https: whether browsers reach it by https; they then shall never use http again.
    """

    def __init__(self, app: ASGIApp, is_https: bool) -> None:
        self._app = app
        self._headers = HEADERS | ({"Strict-Transport-Security": _HSTS} if is_https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(message.get("headers", ()))}
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("Cache-Control", NO_STORE)
            await send(message)

        await self._app(scope, receive, send_with_headers)
