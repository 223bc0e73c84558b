"""Which images are held out of a training: by a hash of the name, for good."""

import hashlib
from collections.abc import Iterable


def split(names: Iterable[str], held_out: int) -> tuple[list[str], list[str]]:
    """Divide names into those to train on and those that are held out.

    Held out are the names with the smallest SHA-256 digests. It depends on nothing but the names
    themselves: not on their order, a seed, or the machine.

    Args:
        names: what identifies an image; duplicates count once.
        held_out: how many to hold out.

    Returns:
        `(training, held_out)`, both sorted.
    """
    ranked = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return sorted(ranked[held_out:]), sorted(ranked[:held_out])
