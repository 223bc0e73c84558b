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

from roi_ray.errors import StorageError
from roi_ray.io import storage

_MAX_NAMES = 5_000
_MAX_KEYS = 1_000  # S3 answers a request with at most as many
_MAX_REQUESTS = 10


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


def list_some(folder: str, limit: int = _MAX_NAMES, prefix: str = "") -> Names:
    """List some names in a folder, local or on S3; none if it cannot be listed in part.

    Args:
        folder: absolute URI.
        limit: number of names; on S3, at most 1,000, which one request answers.
        prefix: on S3, text that all names begin with.
    """
    files: list[str] = []
    folders: list[str] = []
    try:
        if storage.is_remote(folder):
            return _list_some_remote(folder, min(limit, _MAX_KEYS), prefix)
        with os.scandir(storage.locate(folder)[1]) as entries:
            for entry in islice(entries, limit):
                (folders if entry.is_dir() else files).append(entry.name)
            complete = next(entries, None) is None
    except (OSError, StorageError):
        return Names((), (), complete=False)
    return Names(tuple(sorted(files)), tuple(sorted(folders)), complete)


def _list_some_remote(folder: str, limit: int, prefix: str) -> Names:
    if not folder.startswith("s3://"):  # the other storages have no listing with a limit
        return Names((), (), complete=False)
    from roi_ray.io.s3_requests import list_some_keys  # s3fs takes a second to import

    keys, complete = list_some_keys(folder, limit, prefix)
    files = tuple(key for key in keys if not key.endswith("/"))
    folders = tuple(key.rstrip("/") for key in keys if key.endswith("/"))
    return Names(files, folders, complete)


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


def suggest(name: str, names: Collection[str]) -> str:
    """Return ` (did you mean ...?)` with the most similar name, or nothing if none is similar."""
    similar = find_similar(name, names, count=1)
    return f" (did you mean {similar[0]!r}?)" if similar else ""


def fold(name: str) -> str:
    """Return the same text for names that look alike.

    They differ in the Unicode normal form, in upper and lower case, or in white space around.
    """
    return unicodedata.normalize("NFC", name).strip().casefold()


@lru_cache(maxsize=8)
def names_by_look(folder: str) -> dict[str, list[str]]:
    """List some names of a local folder by their `fold`, with and without their suffixes.

    The folder is read once per process, however many files are missing. Check that a name still
    exists before you mention it.
    """
    names = list_some(folder)
    by_look: dict[str, list[str]] = {}
    for name in (*names.folders, *names.files):
        for look in dict.fromkeys([fold(name), fold(os.path.splitext(name)[0])]):
            by_look.setdefault(look, []).append(name)
    return by_look


def list_some_below(folder: str, limit: int = _MAX_NAMES) -> tuple[list[str], bool]:
    """List files below a folder, level by level, until `limit` names were looked at.

    Hidden names, which begin with `.` or `_`, are left out, and symbolic links are not followed.

    Args:
        folder: absolute URI, local or on S3.
        limit: number of names; on S3, also a request for each folder, of 10 at most.

    Returns:
        paths of the files relative to the folder, and whether these are all.
    """
    files: list[str] = []
    waiting, left, is_complete = deque([""]), limit, True
    requests = _MAX_REQUESTS if storage.is_remote(folder) else limit
    while waiting and left > 0 and requests > 0:
        path = waiting.popleft()
        names = list_some(storage.join(folder, path), min(left, _MAX_KEYS))
        left -= len(names.files) + len(names.folders)
        requests -= 1
        # A folder of a million images must not hide the tables in the next one.
        is_complete = is_complete and names.complete
        files += [os.path.join(path, name) for name in names.files if not storage.is_hidden(name)]
        below = [os.path.join(path, name) for name in names.folders if not storage.is_hidden(name)]
        waiting += [path for path in below if not _is_link(storage.join(folder, path))]
    return files, is_complete and not waiting


def _is_link(uri: str) -> bool:
    return not storage.is_remote(uri) and os.path.islink(storage.locate(uri)[1])
