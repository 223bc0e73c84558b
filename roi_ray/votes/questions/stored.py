"""Keep the questions of a study over several runs, in `questions.parquet`.

Votes name the sides of a question `a` and `b`, so a stored question keeps its key, its row and its
sides. What else is known about it is what the source says now.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError, OutputError
from roi_ray.io import storage
from roi_ray.io.formats import read_rows
from roi_ray.preference.comparisons.table import write_comparisons
from roi_ray.votes.ownership import mark_table
from roi_ray.votes.questions.table import Questions

FILE = "questions.parquet"

_NEEDED = (*schema.COMPARISON_URIS, schema.QUESTION, schema.GOLD, schema.EXPECTED_P_A)


def merge_stored(new: Questions, folder: str, study: str, asked: Iterable[str] = ()) -> Questions:
    """Join questions with those of earlier runs of the study, and store all of them.

    Args:
        new: the questions that the source has now.
        folder: path or URI of the study's folder. `questions.parquet` in it is replaced; readers
            see the old file or the new one.
        study: id of the study, which marks the table and the file; see `mark_table`.
        asked: keys of questions that people were asked.

    Returns:
        the stored questions in their order, then those that are new. Those that the source no
        longer has are not open.

    Raises:
        OutputError: the stored questions are those of another study (none of them is among the
            new ones), or cannot be read; or one that was asked is among neither. Nothing is
            written.
        StorageError: the folder cannot be read or written.
    """
    uri = storage.join(storage.absolute(folder), FILE)
    merged = new
    if storage.is_file(uri):
        merged = _merge(new, _read(uri), uri)
    _check_asked(merged, asked, uri)
    merged = replace(merged, table=mark_table(merged.table, study))
    write_comparisons(uri, merged.table)
    return merged


def _check_asked(questions: Questions, asked: Iterable[str], uri: str) -> None:
    unknown = set(asked) - set(questions.table[schema.QUESTION].to_pylist())
    if unknown:
        raise OutputError(
            f"the database has questions that were asked, such as {min(unknown)!r}, {len(unknown)} "
            f"in all, which are neither in {uri} nor in the source: put back the file of the last "
            "run, or name the source of then"
        )


def _read(uri: str) -> pa.Table:
    try:
        stored = read_rows(uri, ())
    except ManifestError as error:
        raise OutputError(f"the questions of earlier runs cannot be read: {error}") from error
    if missing := [name for name in _NEEDED if name not in stored.column_names]:
        raise OutputError(f"{uri} has no column {missing[0]!r}: it has no questions of a study")
    return stored


def _merge(new: Questions, stored: pa.Table, uri: str) -> Questions:
    keys = stored[schema.QUESTION].to_pylist()
    known = {key: row for row, key in enumerate(keys)}
    if len(known) < len(keys):
        raise OutputError(f"{uri} has a question twice")
    places = np.array([known.get(key, -1) for key in new.table[schema.QUESTION].to_pylist()])
    is_known = places >= 0
    if known and not is_known.any():
        raise OutputError(
            f"{uri} has the questions of another study, none of which is among the "
            f"{len(new)} questions now: name another --output"
        )
    # Where each row is found: in the table of stored questions followed by the new ones.
    source = np.arange(len(known) + int((~is_known).sum()))
    rows = len(known) + np.arange(len(new))
    source[places[is_known]] = rows[is_known]
    source[len(known) :] = rows[~is_known]
    first = np.array(stored[schema.A].to_pylist(), object)[places[is_known]]
    swapped = np.zeros(len(new), np.bool_)
    swapped[is_known] = first != np.array(new.table[schema.A].to_pylist(), object)[is_known]
    try:
        both = pa.concat_tables([stored, swap_sides(new.table, swapped)], promote_options="default")
    except pa.ArrowException as error:
        raise OutputError(f"{uri} does not fit the questions of now: {error}") from error
    is_open = np.zeros(len(source), np.bool_)
    is_open[places[is_known]] = new.is_open[is_known]
    is_open[len(known) :] = new.is_open[~is_known]
    return replace(new, table=both.take(pa.array(source)).combine_chunks(), is_open=is_open)


def swap_sides(table: pa.Table, swapped: NDArray[np.bool_]) -> pa.Table:
    """Exchange the sides of some questions: every column `NAME_a` with `NAME_b`.

    Args:
        table: N questions.
        swapped: which ones, (N,).
    """
    if not swapped.any():
        return table
    mask = pa.array(swapped)
    pairs = [(schema.A, schema.B)]
    pairs += [(name, f"{name[:-2]}_b") for name in table.column_names if name.endswith("_a")]
    columns = {name: table[name] for name in table.column_names}
    for a, b in pairs:
        if {a, b} <= columns.keys():
            columns[a] = pc.if_else(mask, table[b], table[a])
            columns[b] = pc.if_else(mask, table[a], table[b])
    expected = table[schema.EXPECTED_P_A]
    columns[schema.EXPECTED_P_A] = pc.if_else(mask, pc.subtract(1.0, expected), expected)
    return pa.table(columns)
