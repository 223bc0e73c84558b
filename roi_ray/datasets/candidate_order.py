"""Decide which of two images becomes candidate `a`, by a hash of their names.

This is for data sets that list the better image first, or that have no order: the position must not
give the answer away.
"""

import hashlib


def becomes_a(name: str, other: str) -> bool:
    """Return whether image `name` becomes `a`; always the opposite of `becomes_a(other, name)`."""
    lower, upper = sorted((name, other))
    lower_first = hashlib.sha256(f"{lower}\n{upper}".encode()).digest()[0] % 2 == 0
    return lower_first == (name == lower)
