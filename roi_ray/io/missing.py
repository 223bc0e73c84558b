"""Say what is there, where a user's table is not: nearest names, tables that lie deeper."""

import os
from collections import Counter
from collections.abc import Sequence

from roi_ray.errors import StorageError
from roi_ray.io import storage
from roi_ray.io.formats import SUFFIXES, file_suffix
from roi_ray.io.nearby import find_similar, list_some, list_some_below

_MAX_NAMED = 3


def explain_missing_table(uri: str) -> str:
    """Say which names there are that are like the name of a table that does not exist.

    Args:
        uri: absolute URI. On S3, two requests list a thousand names each at most.

    Returns:
        a part of a sentence that begins with `; `, or nothing.
    """
    try:
        return _explain_missing(*uri.rsplit("/", 1))
    except StorageError:
        return ""


def _explain_missing(folder: str, name: str) -> str:
    if not storage.is_folder(folder):
        missing = folder
        while not storage.is_folder(parent := storage.parent(missing)) and parent != missing:
            missing = parent
        similar = find_similar(missing.rpartition("/")[2], list_some(parent).folders)
        return f"; there is no folder {missing}" + _but(_join(parent, similar))
    names = list_some(folder)
    if storage.is_remote(folder) and not names.complete:
        names = list_some(folder, prefix=os.path.splitext(name)[0])
    tables = [name for name in names.files if file_suffix(name) in SUFFIXES]
    similar = find_similar(name, [*names.folders, *tables]) or find_similar(name, names.files)
    if similar:
        return _there_is(_join(folder, similar))
    return f"; its folder has {_name_some(tables)}" if tables else ""


def explain_no_tables(folder: str) -> str:
    """Say what a folder has that has no table directly in it.

    Args:
        folder: its absolute URI.

    Returns:
        a part of a sentence that begins with `; `, or nothing.
    """
    below, complete = list_some_below(folder)
    tables = [file for file in below if file_suffix(file) in SUFFIXES]
    if tables:
        return _describe_deeper_tables(folder, tables, complete=complete)
    names = list_some(folder)
    if hidden := [n for n in names.files if storage.is_hidden(n) and file_suffix(n) in SUFFIXES]:
        return f"; names that begin with _ or . are skipped: {_name_some(hidden)}"
    if others := [name for name in names.files if not storage.is_hidden(name)]:
        return f"; it has {_name_some(others)}"
    return "" if names.folders or not names.complete else "; it is empty"


def _describe_deeper_tables(folder: str, tables: Sequence[str], *, complete: bool) -> str:
    suffix, count = Counter(map(file_suffix, tables)).most_common(1)[0]
    places = list(dict.fromkeys(os.path.dirname(t) for t in tables if file_suffix(t) == suffix))
    number = f"{count}" if complete else f"at least {count}"
    files = "file lies" if count == 1 else "files lie"
    text = f"; {number} {suffix} {files} deeper, in {_name_some(places)}: name "
    if len(places) == 1:
        return text + storage.join(folder, places[0])
    return text + (
        f"one of these folders, such as {storage.join(folder, places[0])}; or name the folders "
        "NAME=VALUE, such as codec=jpeg, which makes them one table with a column NAME"
    )


def _there_is(uris: Sequence[str]) -> str:
    return f"; there is {_name_some(uris)}" if uris else ""


def _but(uris: Sequence[str]) -> str:
    return f", but {_name_some(uris)}" if uris else ""


def _join(folder: str, names: Sequence[str]) -> list[str]:
    return [storage.join(folder, name) for name in names]


def _name_some(names: Sequence[str]) -> str:
    named = ", ".join(names[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    return f"{named} and {more} more" if more > 0 else named
