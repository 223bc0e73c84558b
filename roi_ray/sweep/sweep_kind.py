"""Sweeps as a kind of job. Imports no torch."""

import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import AccessError, StorageError
from roi_ray.pipeline.kind import JobKind, make_results_schema

SWEEP_VERSION = 1
"""Raised when the same plan gives other files."""

ITEM_COLUMNS = (
    schema.CODEC,
    schema.TARGET_METRIC,
    schema.TARGET,
    schema.DISTORTED,
    schema.BITSTREAM,
)
"""Columns of the plan that work items have as lists, besides `rows` and `pair_ids`."""

FATAL_ERRORS = (AccessError, StorageError)
"""Errors that would fail every row: an output that cannot be written, as where the disk is full.

A row with such an `error_kind` stops the job. No other row has the kind `StorageError`: an original
that cannot be read is an `ImageReadError`, and whatever a codec raises is a `CodecError`.
"""

_COLUMNS = pa.schema({name: kind for name, (kind, _) in schema.SWEEP_RESULTS.items()})

SWEEP_RESULT_ROWS = make_results_schema(_COLUMNS)
"""Columns of a result: the shard and row that it belongs to, and its numbers or its error."""

KIND = JobKind(
    command="sweep",
    content="cells",
    version_name="sweep_version",
    version=SWEEP_VERSION,
    columns=_COLUMNS,
    meanings={name: meaning for name, (_, meaning) in schema.SWEEP_RESULTS.items()},
    results=SWEEP_RESULT_ROWS,
    fatal_errors=FATAL_ERRORS,
    item_lists=ITEM_COLUMNS,
    unit="cells",
    activity="encoding",
    lost="the process that encoded this image was killed each time",
)
