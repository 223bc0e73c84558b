"""How often somebody may ask.

Who has asked is in memory only, and forgotten with the first request that comes a minute later.
"""

import ipaddress
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from roi_ray.web.error_answers import ErrorAnswer, RequestFailed
from roi_ray.web.limits import check_positive

SECONDS = 60.0
"""Length of the window in which requests are counted."""

MAX_NAMES = 10_000
"""Raters and addresses that are counted at a time; beyond, whoever has not asked for the longest
time is forgotten."""


@dataclass(frozen=True)
class Rates:
    """How many requests are answered per minute.

    Attributes:
        votes: questions and votes of a rater. An answer takes three seconds, and two requests.
        images: images of a rater.
        visits: requests without a session, of an address: an office or a school may share one.
        logins: wrong keys of the operator, of an address. The right key is never refused, as
            everybody may have the address of a proxy.

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
        clock: seconds from any beginning.

    Examples:
        >>> limiter = RateLimiter(Rates(logins=1))
        >>> limiter.count("logins", "10.0.0.1")
        >>> limiter.count("logins", "10.0.0.2")
        >>> limiter.count("logins", "10.0.0.1")
        Traceback (most recent call last):
        roi_ray.web.error_answers.RequestFailed: too many requests; ask again in 60 seconds
    """

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates, self._clock = vars(rates), clock
        # Times of requests, by kind and name; whoever asked last is at the end.
        self._times: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def __len__(self) -> int:
        """Number of names that are known, by kind."""
        return len(self._times)

    def count(self, kind: str, who: str) -> None:
        """Count a request; one that is refused does not count.

        Args:
            kind: name of the rate, see `Rates`.
            who: a rater, or an address.

        Raises:
            RequestFailed: there were too many in the last minute: 429.
        """
        self.check(kind, who)
        self._times.setdefault((kind, who), deque()).append(self._clock())
        self._times.move_to_end((kind, who))
        if len(self._times) > MAX_NAMES:
            self._times.popitem(last=False)

    def check(self, kind: str, who: str) -> None:
        """Refuse as `count` does, but count nothing."""
        oldest = self._clock() - SECONDS
        self._forget(oldest)
        times = self._times.get((kind, who), deque())
        while times and times[0] <= oldest:
            times.popleft()
        if len(times) >= self._rates[kind]:
            raise too_many(times[0] - oldest)

    def _forget(self, oldest: float) -> None:
        """Forget whoever has not asked since."""
        while self._times and next(iter(self._times.values()))[-1] <= oldest:
            self._times.popitem(last=False)


def too_many(wait_seconds: float) -> RequestFailed:
    """Make the exception that tells a client to ask later."""
    seconds = max(1, math.ceil(wait_seconds))
    text = f"too many requests; ask again in {seconds} second{'s' if seconds > 1 else ''}"
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
