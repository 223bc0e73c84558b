"""Options of a client."""

import math
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from roi_ray.errors import UsageError

DEFAULT_TIMEOUT = 180.0
"""Seconds. A service answers within 60 by default, or says that it could not."""
DEFAULT_RETRIES = 10
"""With the pauses between them, they bridge 33 to 66 seconds, or more: a restart of a service."""


@dataclass(frozen=True)
class ClientOptions:
    """Where the service is, and how long it may take.

    Attributes:
        url: see `Client`.
        api_key: see `Client`.
        timeout: see `Client`.
        retries: see `Client`.

    Raises:
        UsageError: an option cannot be used.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT
    retries: int = DEFAULT_RETRIES

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{self.url!r} is not the URL of a service, such as http://HOST:8000")
        if parts.query or parts.fragment or parts.username or parts.password:
            raise UsageError("the URL of a service has no user, password, ? and #; give api_key")
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise UsageError("the API key has characters that are not printable ASCII")
        if not 0 < self.timeout < math.inf:
            raise UsageError(f"timeout is {self.timeout}; it must be a finite number above 0")
        if self.retries < 0:
            raise UsageError(f"retries is {self.retries}; it must be 0 or more")
