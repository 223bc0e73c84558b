"""What every request passes before the app: its host, where it comes from, its path."""

from starlette.types import ASGIApp, Receive, Scope, Send

from roi_ray.runtime.logs import LOGGER
from roi_ray.votes.http.guard.cross_origin import is_cross_origin
from roi_ray.votes.http.guard.errors import Errors
from roi_ray.votes.http.guard.hosts import is_known_host
from roi_ray.votes.http.guard.passages import HEALTH
from roi_ray.votes.http.site import Site
from roi_ray.web.error_answers import ErrorAnswer
from roi_ray.web.exchange import header_values
from roi_ray.web.names import clean_name

_MAX_PATH = 512

_WRONG_HOST = ErrorAnswer(
    "MisdirectedRequest", "this server is not reached by this name; use the link that you were sent"
)
_CROSS_ORIGIN = ErrorAnswer("CrossOrigin", "another site sent this request; use the study's pages")
_NOT_FOUND = ErrorAnswer("NotFound", "there is nothing at this address")


class Door:
    """An ASGI app that refuses what another site sends.

    Args:
        app: the ASGI app.
        site: the hosts that requests may be for.
        errors: makes the answers.
    """

    def __init__(self, app: ASGIApp, site: Site, errors: Errors) -> None:
        self._app, self._errors = app, errors
        self._hosts, self._origin = site.hosts, site.origin
        self._logged: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, or refuse it."""
        refusal = self._refuse(scope)
        if refusal in (_WRONG_HOST, _CROSS_ORIGIN):
            self._log_first(scope, refusal)
        app = self._app if refusal is None else self._errors.answer(scope["path"], refusal)
        await app(scope, receive, send)

    def _refuse(self, scope: Scope) -> ErrorAnswer | None:
        hosts = _read(scope, b"host")
        # Load balancers ask by address whether the server is alive.
        if scope["path"] != HEALTH and not (
            len(hosts) == 1 and is_known_host(hosts[0], self._hosts)
        ):
            return _WRONG_HOST
        sites, origins = _read(scope, b"sec-fetch-site"), _read(scope, b"origin")
        host = hosts[0] if hosts else ""
        if is_cross_origin(scope["method"], sites, origins, host, self._origin):
            return _CROSS_ORIGIN
        if len(scope["path"]) > _MAX_PATH or not scope["path"].isprintable():
            return _NOT_FOUND
        return None

    def _log_first(self, scope: Scope, refusal: ErrorAnswer) -> None:
        """Log the first refusal of a kind: perhaps the server is set up wrongly."""
        if refusal.kind in self._logged:
            return
        self._logged.add(refusal.kind)
        names = (b"host", b"origin", b"sec-fetch-site")
        headers = [f"{name.decode()}: {', '.join(_read(scope, name)) or '-'}" for name in names]
        LOGGER.warning(
            "refused, and not logged again: %s, %s; people shall open %s: if they use another "
            "address, name it with --public-url",
            refusal.kind,
            ", ".join(map(clean_name, headers)),
            self._origin,
        )


def _read(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for value in header_values(scope, name)]
