"""How many things somebody may do at a time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from roi_ray.votes.http.guard.rates import too_many

_WAIT_SECONDS = 2.0


class Places:
    """A number of places for everybody.

    Args:
        number: how many.

    Examples:
        >>> places = Places(1)
        >>> with places.take("one"), places.take("two"):
        ...     len(places)
        2
        >>> len(places)
        0
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        """Number of places that are taken."""
        return self._taken.total()

    def check(self, who: str) -> None:
        """Check that somebody has a place left.

        Raises:
            RequestFailed: all are taken: 429.
        """
        if self._taken[who] >= self._number:
            raise too_many(_WAIT_SECONDS)

    @contextmanager
    def take(self, who: str) -> Iterator[None]:
        """Take a place as long as the `with` block runs.

        Raises:
            RequestFailed: all are taken: 429.
        """
        self.check(who)
        self._taken[who] += 1
        try:
            yield
        finally:
            self._taken[who] -= 1
            if not self._taken[who]:
                del self._taken[who]
