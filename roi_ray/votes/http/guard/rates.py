"""How often somebody may ask. Counts are in memory only, for a minute."""

import ipaddress
import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request

from roi_ray.web.error_answers import ErrorAnswer, RequestFailed
from roi_ray.web.limits import check_positive


@dataclass(frozen=True)
class Rates:
    """How many requests are answered per minute.

    Attributes:
        votes: questions and votes of a rater. An answer takes three seconds, and two requests.
        images: images of a rater.
        visits: requests without a session, of an address: an office or a school may share one.
        logins: wrong keys of the operator, of an address.

    Raises:
        UsageError: a number is not above 0.
    """

    votes: int = 240
    images: int = 480
    visits: int = 240
    logins: int = 5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_positive(name, value)


class RateLimiter:
    """Count requests by kind and by who sends them.

    Args:
        rates: how many are answered per minute.

    Examples:
        >>> limiter = RateLimiter(Rates(logins=1))
        >>> limiter.count("logins", "10.0.0.1")
        >>> limiter.count("logins", "10.0.0.2")
        >>> limiter.count("logins", "10.0.0.1")
        Traceback (most recent call last):
        roi_ray.web.error_answers.RequestFailed: too many requests; ask again in 60 seconds
    """

    def __init__(self, rates: Rates) -> None:
        self._items = {name: RateLimitItemPerMinute(value) for name, value in vars(rates).items()}
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, kind: str, who: str) -> None:
        """Count a request.

        Args:
            kind: name of the rate, see `Rates`.
            who: a rater, or an address.

        Raises:
            RequestFailed: there were too many in the last minute: 429.
        """
        if not self._limiter.hit(self._items[kind], kind, who):
            raise self._refuse(kind, who)

    def check(self, kind: str, who: str) -> None:
        """Refuse as `count` does, but count nothing."""
        if not self._limiter.test(self._items[kind], kind, who):
            raise self._refuse(kind, who)

    def _refuse(self, kind: str, who: str) -> RequestFailed:
        reset = self._limiter.get_window_stats(self._items[kind], kind, who).reset_time
        seconds = min(60, max(1, math.ceil(reset - time.time())))
        text = f"too many requests; ask again in {seconds} seconds"
        headers = (("Retry-After", str(seconds)),)
        return RequestFailed(ErrorAnswer("TooManyRequests", text, headers=headers))


def name_client(request: Request) -> str:
    """Return the address of a client; of IPv6, the network, as a client has many addresses."""
    return shorten_address(request.client.host if request.client else "")


def shorten_address(address: str) -> str:
    """Shorten an IPv6 address to the network that a client usually has for itself.

    Examples:
        >>> shorten_address("2001:db8:1:2:3:4:5:6"), shorten_address("192.0.2.1")
        ('2001:db8:1:2::/64', '192.0.2.1')
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((int(ip), 64), strict=False))
