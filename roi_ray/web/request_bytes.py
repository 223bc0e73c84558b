"""Count the bytes of each request, and of all requests in progress, and enforce their limits."""

from roi_ray.web.error_answers import ErrorAnswer
from roi_ray.web.limits import RequestLimits


class WaitingBytes:
    """The bytes that all requests in progress take.

    Args:
        limits: what is accepted.

    Attributes:
        number: how many there are.

    Examples:
        >>> waiting = WaitingBytes(RequestLimits(max_waiting_bytes=100))
        >>> first, second = RequestBytes(waiting), RequestBytes(waiting)
        >>> first.take(60), waiting.number
        (None, 60)
        >>> second.take(60).kind
        'TooManyRequests'
        >>> first.release(), second.take(60), waiting.number
        (None, None, 60)
    """

    def __init__(self, limits: RequestLimits) -> None:
        self.number = 0
        self._max_number = limits.max_waiting_bytes
        # A larger request would be told to come again, and never fit.
        self._max_size = min(limits.max_body_bytes, limits.max_waiting_bytes)

    def check(self, size: int, more: int) -> ErrorAnswer | None:
        """Say why a request is refused that has so many bytes, of which some are more than before.

        One that takes no more bytes is never refused because of those that others take.
        """
        if size > self._max_size:
            return ErrorAnswer(
                "BodyTooLarge",
                f"the request has more than {self._max_size:,} bytes, with the files that it "
                "names; send less at a time",
            )
        if more and self.number + more > self._max_number:
            return ErrorAnswer(
                "TooManyRequests",
                f"the requests in progress have {self._max_number:,} bytes; ask again later",
            )
        return None


class RequestBytes:
    """The bytes that one request takes.

    Args:
        waiting: those of all requests.

    Attributes:
        arrived: bytes of the body that have arrived, and of the files that it names.
    """

    def __init__(self, waiting: WaitingBytes) -> None:
        self.arrived = 0
        self._waiting, self._taken = waiting, 0

    def take(self, length: int) -> ErrorAnswer | None:
        """Take as many bytes as the body is going to have; say why not, if they are too many.

        They are taken before they arrive, because what is in front of this process may have read
        them already.
        """
        refusal = self._waiting.check(length, length)
        if refusal is None:
            self._add(length)
        return refusal

    def count(self, more: int) -> ErrorAnswer | None:
        """Count bytes that have arrived; say why the request is refused, if they are too many."""
        self.arrived += more
        excess = max(0, self.arrived - self._taken)
        refusal = self._waiting.check(self.arrived, excess)
        self._add(excess)
        return refusal

    def release(self) -> None:
        """Give back what was taken."""
        self._add(-self._taken)

    def _add(self, number: int) -> None:
        self._taken += number
        self._waiting.number += number
