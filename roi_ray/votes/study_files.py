"""Where a study keeps its files, and which of them it may write."""

import os
from typing import TYPE_CHECKING

from roi_ray.errors import UsageError
from roi_ray.io import storage
from roi_ray.votes.options import StudyFiles

if TYPE_CHECKING:
    from roi_ray.votes.store.store import Store

FOLDER = "_study"
"""Folder, below that of the database, of what the study needs to go on."""
_DATABASE = "study.sqlite"


def choose_database(files: StudyFiles) -> str:
    """Return the folder of the database, an absolute path.

    Raises:
        UsageError: there is not exactly one source of questions; or the folder is not on this
            machine.
    """
    if (files.comparisons is None) == (files.scores is None):
        raise UsageError("give either --comparisons or --scores")
    folder = storage.absolute(files.database or files.output)
    if storage.is_remote(folder):
        option = "--database" if files.database else "--output"
        raise UsageError(
            f"{option} {folder} is not on this machine, but the database of the answers must be: "
            "name a folder with --database"
        )
    return folder


def check_source(files: StudyFiles) -> None:
    """Check that the answers do not replace what the questions are made of.

    Raises:
        UsageError: they would.
    """
    from roi_ray.votes.store.export import COMPARISONS, RATERS

    source, output = _resolve(files.comparisons or files.scores or ""), _resolve(files.output)
    if source in (output, *(storage.join(output, name) for name in (COMPARISONS, RATERS))):
        raise UsageError(
            f"the answers would be written to {output}/{COMPARISONS}, among what the questions are "
            "made of: name another --output"
        )


def check_new(folder: str, output: str) -> None:
    """Check that a study without a database has no other files, before anything is written.

    Raises:
        OutputError: there is a file that it would replace.
    """
    if not storage.exists(storage.join(folder, _DATABASE)):
        _check_owners(folder, output, None)


def open_store(folder: str, output: str) -> "Store":
    """Open the database, or make it, if all files that the study writes are its own.

    Raises:
        OutputError: they are not; or it cannot be opened.
    """
    from roi_ray.votes.store.store import Store

    os.makedirs(storage.local_path(folder), mode=0o700, exist_ok=True)
    store = Store(storage.local_path(storage.join(folder, _DATABASE)))
    try:
        _check_owners(folder, output, store.study)
    except BaseException:
        store.close()
        raise
    return store


def _resolve(uri: str) -> str:
    """Return the one URI of a file or folder, without links."""
    uri = storage.normalize(storage.absolute(uri)).rstrip("/")
    return uri if storage.is_remote(uri) else os.path.realpath(storage.local_path(uri))


def _check_owners(folder: str, output: str, study: str | None) -> None:
    from roi_ray.votes.ownership import check_owner
    from roi_ray.votes.questions.stored import FILE
    from roi_ray.votes.store.export import COMPARISONS, RATERS

    for place, name in ((output, COMPARISONS), (output, RATERS), (folder, FILE)):
        check_owner(storage.join(place, name), study)
