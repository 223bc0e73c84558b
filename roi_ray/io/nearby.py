"""Find names that a user may have meant, where there is no file of the name that was given.

Only the message of an error needs them, so few names are looked at: folders may have millions.
"""

import difflib
import os
import unicodedata
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

_MAX_NAMES = 5_000


@dataclass(frozen=True)
class Names:
    """Names in a folder.

    Attributes:
        files: names of files, sorted.
        folders: names of folders, sorted.
        complete: whether these are all.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]
    complete: bool


def list_some(folder: str, limit: int = _MAX_NAMES) -> Names:
    """List at most `limit` names in a local folder; none if it cannot be read."""
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, limit):
                (folders if entry.is_dir() else files).append(entry.name)
            complete = next(entries, None) is None
    except OSError:
        return Names((), (), complete=False)
    return Names(tuple(sorted(files)), tuple(sorted(folders)), complete)


def find_similar(name: str, names: Collection[str], count: int = 3) -> list[str]:
    """Find the names that are most like a name, the likeliest first.

    Args:
        name: a name that does not exist.
        names: names that exist.
        count: number of names to return at most.
    """
    key, stem = fold(name), fold(os.path.splitext(name)[0])
    equal = [other for other in names if fold(other) == key]
    same_stem = [
        other for other in names if stem in (fold(os.path.splitext(other)[0]), fold(other))
    ]
    if equal or same_stem:
        return list(dict.fromkeys([*equal, *same_stem]))[:count]
    return difflib.get_close_matches(name, names, count)


def fold(name: str) -> str:
    """Return a text that names have in common if they look alike: form, case, spaces around."""
    return unicodedata.normalize("NFC", name).strip().casefold()


@lru_cache(maxsize=8)
def names_by_look(folder: str) -> dict[str, list[str]]:
    """List some names of a local folder by what they have in common, as `fold` tells.

    The names of files are also listed without their suffixes. For as many messages as there are
    missing files, the folder is read once: check that what was found is still there.
    """
    names = list_some(folder)
    by_look: dict[str, list[str]] = {}
    for name in (*names.folders, *names.files):
        for look in dict.fromkeys([fold(name), fold(os.path.splitext(name)[0])]):
            by_look.setdefault(look, []).append(name)
    return by_look


def list_some_below(folder: str, limit: int = _MAX_NAMES) -> tuple[list[str], bool]:
    """List files below a local folder, level by level, until `limit` names were looked at.

    Hidden names, which begin with `.` or `_`, are left out, and symbolic links are not followed.

    Returns:
        paths of the files relative to the folder, and whether these are all.
    """
    files: list[str] = []
    waiting, left = deque([""]), limit
    while waiting and left > 0:
        path = waiting.popleft()
        names = list_some(os.path.join(folder, path), left)
        left -= len(names.files) + len(names.folders)
        if not names.complete:
            left = 0
        files += [os.path.join(path, name) for name in names.files if not is_hidden(name)]
        below = [os.path.join(path, name) for name in names.folders if not is_hidden(name)]
        waiting += [path for path in below if not os.path.islink(os.path.join(folder, path))]
    return files, left > 0


def is_hidden(name: str) -> bool:
    """Return whether `storage.list_files` leaves a name out."""
    return name.startswith((".", "_"))
