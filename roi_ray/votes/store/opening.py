"""Open the database of a study, or create it, or say why that is not possible."""

import os
import sqlite3

from roi_ray.errors import OutputError, RoiRayError
from roi_ray.io import storage
from roi_ray.votes.store.failures import explain_sqlite
from roi_ray.votes.store.tables import APPLICATION_ID, TABLES, VERSION
from roi_ray.votes.store.tokens import make_id

_LOCK_SECONDS = 20.0
"""How long a transaction waits for that of another process."""

_SMALLEST_PAGE = 512
"""Bytes of the smallest database with a table."""


def open_database(path: str) -> sqlite3.Connection:
    """Open the database of a study; create it, and missing folders, if the file is not there.

    A file that is not a study's database stays as it is. The connection is in autocommit mode, and
    any thread may use it, one at a time.

    Args:
        path: a local path.

    Raises:
        OutputError: the file is no study's database, of another version, damaged, truncated,
            locked, read-only, or it cannot be created; in one line.
    """
    if storage.is_remote(path):
        raise OutputError(f"{path} cannot be a study's database: it must be a local file")
    path = storage.local_path(path)
    connection = None
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.exists(path) and 0 < os.path.getsize(path) < _SMALLEST_PAGE:
            # SQLite would take a file of one byte for an empty database.
            raise OutputError(f"{path} cannot be used as a study's database: it is not a database")
        # Python itself never opens the file: closing it would drop SQLite's locks.
        connection = sqlite3.connect(
            path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        _prepare(connection, path)
    except (sqlite3.Error, OSError, ValueError, RoiRayError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, RoiRayError):
            raise
        reason = explain_sqlite(error) if isinstance(error, sqlite3.Error) else _explain(error)
        raise OutputError(f"{path} cannot be used as a study's database: {reason}") from error
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    if _is_empty(connection):
        _create_tables(connection)
    _check_identity(connection, path)
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise OutputError(f"{path}: this file system cannot keep SQLite's write-ahead log")
    # Each commit waits until the log is on the disk: what is acknowledged survives a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise OutputError(f"{path} is damaged: {' '.join(str(result).split())}")
    # Fails here, rather than at the first vote, where the file is read-only.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def _is_empty(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return tables == 0 and _read_number(connection, "application_id") == 0


def _create_tables(connection: sqlite3.Connection) -> None:
    """Create the tables in one transaction, unless another process just did."""
    connection.execute("BEGIN IMMEDIATE")
    if _is_empty(connection):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        for statement in TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO study (id) VALUES (?)", [make_id()])
    connection.execute("COMMIT")


def _check_identity(connection: sqlite3.Connection, path: str) -> None:
    if _read_number(connection, "application_id") != APPLICATION_ID:
        raise OutputError(f"{path} is the database of another program; choose another path")
    version = _read_number(connection, "user_version")
    if version != VERSION:
        age = "a newer" if version > VERSION else "an older"
        raise OutputError(
            f"{path} was made by {age} version of roi-ray: its tables have version {version}, "
            f"this roi-ray has {VERSION}; use that roi-ray, or choose another path"
        )


def _read_number(connection: sqlite3.Connection, pragma: str) -> int:
    (number,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)


def _explain(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error)
