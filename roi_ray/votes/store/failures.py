"""Errors of SQLite, in words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from roi_ray.errors import StorageUnavailable

_REASONS = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_BUSY": "another program keeps it locked",
    "SQLITE_LOCKED": "another program keeps it locked",
    "SQLITE_CANTOPEN": "it cannot be opened",
    "SQLITE_PERM": "it may not be opened",
    "SQLITE_CORRUPT": "it is damaged or truncated",
    "SQLITE_NOTADB": "it is not a database",
    "SQLITE_IOERR": "the disk is full or fails",
}
_DEFECTS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)
"""What cannot happen unless the caller is wrong: no failure of the storage."""


def explain_sqlite(error: sqlite3.Error) -> str:
    """Return the reason of an error of SQLite in a few words, with SQLite's own name.

    Examples:
        >>> explain_sqlite(sqlite3.OperationalError("no such table: vote"))
        'no such table: vote'
    """
    name = getattr(error, "sqlite_errorname", None) or ""
    for prefix, reason in _REASONS.items():
        if name.startswith(prefix):
            return f"{reason} ({name})"
    return str(error)


@contextmanager
def explained_failures(action: str, path: str) -> Iterator[None]:
    """Turn failures of the storage into one error that may pass: the same call may be repeated.

    Args:
        action: what is done, such as `store a vote`.
        path: the database.

    Raises:
        StorageUnavailable: the storage failed. The message names the file, so it is for the
            operator, not for raters.
    """
    try:
        yield
    except _DEFECTS:
        raise
    except sqlite3.Error as error:
        text = f"cannot {action} in {path}: {explain_sqlite(error)}"
        raise StorageUnavailable(text) from error
