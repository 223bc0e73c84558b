"""Which images are held out of a training: by a hash of the name, for good."""

import hashlib
import posixpath
from collections.abc import Iterable


def split(names: Iterable[str], held_out: int) -> tuple[list[str], list[str]]:
    """Divide names into those to train on and those that are held out.

    Held out are the names with the smallest SHA-256 digests. Of a path, the file's name without
    its suffix counts, so that one image is held out of every training under whatever path. It
    depends on nothing but the names themselves: not on their order, a seed, or the machine.

    Args:
        names: what identifies an image; duplicates count once.
        held_out: how many to hold out.

    Returns:
        `(training, held_out)`, both sorted.
    """
    ranked = sorted(set(names), key=lambda name: (_digest(name), name))
    return sorted(ranked[held_out:]), sorted(ranked[:held_out])


def _digest(name: str) -> str:
    stem = posixpath.splitext(posixpath.basename(name))[0]
    return hashlib.sha256(stem.encode()).hexdigest()
