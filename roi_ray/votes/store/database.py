"""Transactions on the database of a study."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from roi_ray.errors import StorageUnavailable
from roi_ray.io import storage
from roi_ray.votes.store.failures import explained_failures
from roi_ray.votes.store.opening import open_database

Row = tuple[Any, ...]


class Database:
    """A connection that threads share: one statement or transaction at a time.

    Args:
        path: a local path; see `open_database`, also for its errors.
    """

    def __init__(self, path: str) -> None:
        self._connection = open_database(path)
        self.path = storage.local_path(path)
        self._lock = threading.Lock()
        self._files = self._identify_files()

    def close(self) -> None:
        """Close the connection; the last one of all processes also tidies the log away."""
        with self._lock:
            self._connection.close()

    def read(self, action: str, query: str, values: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a query, as of one moment.

        Args:
            action: what is read, for the message, such as `read the votes`.
            query: SQL.
            values: its parameters. Text that is not valid Unicode is never stored, so that no row
                has it.

        Raises:
            StorageUnavailable: the storage failed.
        """
        with self._lock, explained_failures(action, self.path):
            try:
                return self._connection.execute(query, values).fetchall()
            except UnicodeEncodeError:
                return []

    @contextmanager
    def write(self, action: str) -> Iterator[sqlite3.Connection]:
        """Run a transaction: when the block ends, its changes are on the disk.

        If the block or the commit raises, nothing is changed. No other process writes meanwhile.

        Args:
            action: what is done, for the message, such as `store a vote`.

        Raises:
            StorageUnavailable: the storage failed, or the files are gone; nothing is changed.
        """
        with self._lock, explained_failures(action, self.path):
            self._check_files(action)
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")

    def _check_files(self, action: str) -> None:
        """Refuse to write into files that have no name any more: they end with this process."""
        if self._identify_files() != self._files:
            raise StorageUnavailable(
                f"cannot {action} in {self.path}: the file, or its log {self.path}-wal, was moved, "
                "replaced or deleted since it was opened; put it back, and start again"
            )

    def _identify_files(self) -> list[tuple[int, int] | None]:
        return [_identify(self.path), _identify(f"{self.path}-wal")]


def _identify(path: str) -> tuple[int, int] | None:
    """Return device and number of a file, or None if there is none of this name."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
