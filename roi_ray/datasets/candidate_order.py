"""Which of two images is `a`: by a hash of their names.

Where a data set puts the better image first, or has no order at all, the order must not give the
answer away.
"""

import hashlib


def becomes_a(first: str, second: str) -> bool:
    """True if `first` is to be `a`; the opposite of `becomes_a(second, first)`."""
    lower, upper = sorted((first, second))
    even = hashlib.sha256(f"{lower}\n{upper}".encode()).digest()[0] % 2 == 0
    return even == (first == lower)
