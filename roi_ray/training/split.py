"""Choose the images that a training holds out, by a hash of their names."""

import hashlib
import posixpath
from collections.abc import Callable, Iterable


def split_held_out(
    names: Iterable[str], held_out: int, key: Callable[[str], str] = str
) -> tuple[list[str], list[str]]:
    """Split names into a training set and a held-out set.

    The names with the smallest SHA-256 digests are held out. The result depends on the set of names
    only, not on their order, a seed or the machine.

    Args:
        names: names of images; duplicates count once.
        held_out: number of images to hold out.
        key: maps a name to the image it belongs to. Names with the same key, such as two paths with
            the same `file_stem`, end up on the same side of the split.

    Returns:
        `(training, held_out)`, both sorted.
    """
    names = set(names)
    ranked = sorted(set(map(key, names)), key=lambda image: (_digest(image), image))
    held_out_keys = set(ranked[:held_out])
    return (
        sorted(name for name in names if key(name) not in held_out_keys),
        sorted(name for name in names if key(name) in held_out_keys),
    )


def file_stem(path: str) -> str:
    """Return a file's name without folders and suffix."""
    return posixpath.splitext(posixpath.basename(path))[0]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
