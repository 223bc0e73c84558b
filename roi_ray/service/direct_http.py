"""HTTP to this cluster's own machines. Imports nothing heavy."""

import urllib.request
from http.client import HTTPResponse


def open_directly(url: str, seconds: float) -> HTTPResponse:
    """Open a URL without the proxy that the environment may name: it is not for these machines.

    Args:
        url: an address of HTTP.
        seconds: how long the server may be silent.

    Raises:
        OSError: the server cannot be reached, or answers with an error.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    response: HTTPResponse = opener.open(url, timeout=seconds)
    return response
