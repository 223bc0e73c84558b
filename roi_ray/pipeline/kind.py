"""What differs between the kinds of jobs that share the pipeline, such as scoring and sweeps."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import OutOfMemory, RoiRayError, StorageUnavailable
from roi_ray.schema import Meaning

SHARD = "shard"
ROW = "row"

RETRIED_KINDS = (StorageUnavailable.__name__, OutOfMemory.__name__)
"""Kinds of errors after which a row is tried once more, alone, when the others are done."""


@dataclass(frozen=True)
class JobKind:
    """A kind of job: its name, what identifies its runs, and what it adds to each row.

    Attributes:
        command: name of its command, such as `score`, for records and messages.
        content: what its outputs hold, such as `scores`, for messages.
        version_name: name of its version in the record of a run; it ends in `_version`.
        version: its version, which is raised when the same job gives other results.
        columns: columns that it adds to those of the manifest; the last are `error_kind`, `error`.
        meanings: meanings of these columns.
        results: columns of the tables that its engines yield: `shard`, `row`, and all of `columns`.
        fatal_errors: errors that would fail every row. A row with such an `error_kind` stops the
            job.
        item_lists: columns of the manifest that a work item has as lists, besides `pair_id`.
        unit: what its rows are, for the display of progress.
        activity: what it does with them, likewise.
        lost: error of a row whose process was killed each time.
    """

    command: str
    content: str
    version_name: str
    version: int
    columns: pa.Schema
    meanings: Mapping[str, Meaning]
    results: pa.Schema
    fatal_errors: tuple[type[RoiRayError], ...]
    item_lists: tuple[str, ...] = (schema.DISTORTED,)
    unit: str = "pairs"
    activity: str = "scoring"
    lost: str = "the process that worked on this row was killed each time"


def make_results_schema(columns: pa.Schema) -> pa.Schema:
    """Return the columns of results: the shard and row that a result belongs to, and `columns`."""
    return pa.schema([pa.field(SHARD, pa.int32()), pa.field(ROW, pa.int64()), *columns])
