"""What a web server accepts of each request. Imports nothing heavy."""

import math
from dataclasses import dataclass

from roi_ray.errors import UsageError


@dataclass(frozen=True)
class RequestLimits:
    """What a process that reads requests accepts; more is refused with the status in brackets.

    Attributes:
        max_body_bytes: bytes of a request's body, counted as they come (413).
        max_requests: requests at a time (429).
        max_waiting_bytes: bytes of the bodies of all requests at a time (429).
        timeout_seconds: seconds until a request must have arrived (408), and until it must be
            answered (504), both from its first byte.

    Raises:
        UsageError: a number is not above 0, or not finite.

    Examples:
        >>> RequestLimits(max_requests=8).max_requests
        8
    """

    max_body_bytes: int = 256 << 20
    max_requests: int = 64
    max_waiting_bytes: int = 1 << 30
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_positive(name, value)


def check_positive(name: str, value: float) -> None:
    """Check that an option is a finite number above 0.

    Raises:
        UsageError: it is not.
    """
    if not 0 < value < math.inf:
        raise UsageError(f"{name} is {value}; it must be a finite number above 0")
