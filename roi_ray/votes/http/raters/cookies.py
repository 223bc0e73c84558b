"""Cookies of raters and of the operator."""

import re
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

RATER_SECONDS = 30 * 24 * 3600
"""How long a browser keeps the cookie of a rater after the last visit."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")


class Cookie:
    """A cookie that holds a random token.

    Where browsers use https, its name has a prefix by which they refuse to take it from plain http
    or, if it is for all paths, from another host of the same domain.

    Args:
        name: name without prefix.
        path: path that it is sent to.
        same_site: whether links of other sites send it.
        is_https: whether browsers use https.
    """

    def __init__(
        self, name: str, path: str, same_site: Literal["lax", "strict"], is_https: bool
    ) -> None:
        prefix = ("__Host-" if path == "/" else "__Secure-") if is_https else ""
        self._name, self._path, self._same_site = prefix + name, path, same_site
        self._is_https = is_https

    def read(self, request: Request) -> str | None:
        """Return the token of a request; None if there is none, or no token of ours."""
        token = request.cookies.get(self._name, "")
        return token if _TOKEN.fullmatch(token) else None

    def write(self, response: Response, token: str, seconds: int) -> None:
        """Set the cookie for a number of seconds; 0 removes it."""
        response.set_cookie(
            self._name,
            token,
            max_age=seconds,
            path=self._path,
            secure=self._is_https,
            httponly=True,
            samesite=self._same_site,
        )


def rater_cookie(is_https: bool) -> Cookie:
    """Make the cookie of raters. Links of other sites send it, such as one in an e-mail."""
    return Cookie("roi_ray_rater", "/", "lax", is_https)


def admin_cookie(is_https: bool) -> Cookie:
    """Make the cookie of the operator."""
    return Cookie("roi_ray_admin", "/admin", "strict", is_https)
