"""Which images are held out of a training: by a hash of the name."""

import hashlib
import posixpath
from collections.abc import Callable, Iterable


def split(
    names: Iterable[str], held_out: int, by: Callable[[str], str] = str
) -> tuple[list[str], list[str]]:
    """Divide names into those to train on and those that are held out.

    Held out are the names with the smallest SHA-256 digests. It depends on nothing but the names
    themselves: not on their order, a seed, or the machine. Of more names, others are held out.

    Args:
        names: what identifies an image; duplicates count once.
        held_out: how many images to hold out.
        by: what of a name counts, as `stem` of a path: names that are alike in that are of one
            image, and are not divided.

    Returns:
        `(training, held_out)`, both sorted.
    """
    names = set(names)
    ranked = sorted(set(map(by, names)), key=lambda key: (_digest(key), key))
    held = set(ranked[:held_out])
    return (
        sorted(name for name in names if by(name) not in held),
        sorted(name for name in names if by(name) in held),
    )


def stem(path: str) -> str:
    """A file's name without folders and suffix."""
    return posixpath.splitext(posixpath.basename(path))[0]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
