"""Refuse requests that another site's page makes a browser send.

The rule is that of Go's `http.CrossOriginProtection`: a browser says by `Sec-Fetch-Site`, which no
page can set, where a request comes from; older browsers, and those on plain http, send `Origin`
with every unsafe request. A request without both does not come from a browser.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing; another site may link to a page."""


def is_cross_origin(
    method: str,
    sites: Sequence[str],
    origins: Sequence[str],
    host: str,
    public_origin: str | None = None,
) -> bool:
    """Return whether another site's page sent a request that may change something.

    Args:
        method: method of the request.
        sites: values of its headers `Sec-Fetch-Site`.
        origins: values of its headers `Origin`.
        host: value of its header `Host`.
        public_origin: scheme and host that browsers see, where a proxy sends another `Host`.

    Examples:
        >>> is_cross_origin("POST", ["same-origin"], ["http://a.org"], "a.org")
        False
        >>> is_cross_origin("POST", ["cross-site"], [], "a.org")
        True
        >>> is_cross_origin("POST", [], ["http://evil.org"], "a.org")
        True
        >>> is_cross_origin("POST", [], ["http://a.org"], "a.org")
        False
        >>> is_cross_origin("POST", [], [], "a.org")
        False
    """
    if method in SAFE_METHODS:
        return False
    if sites:
        return any(site not in ("same-origin", "none") for site in sites)
    return not all(_is_own(origin, host, public_origin) for origin in origins)


def _is_own(origin: str, host: str, public_origin: str | None) -> bool:
    if public_origin is not None and origin == public_origin:
        return True
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:
        return False
