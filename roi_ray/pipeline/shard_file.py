"""A shard's Parquet file: its name, its rows, and its footer, which names the run it belongs to."""

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.errors import StorageError
from roi_ray.io import storage
from roi_ray.pipeline.history import find_identities
from roi_ray.pipeline.run_record import Run, identity, list_differences

_PROVENANCE_KEY = b"roi_ray"
_SHARD_KEY = b"roi_ray_shard"
_TIMES_KEY = b"roi_ray_when"
_FAILED_BEFORE_KEY = b"roi_ray_failed_before"

_READERS = 32
_ITEMS_PER_BATCH = 256

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Footer:
    """The content of the footer of a shard's file.

    Attributes:
        rows: number of rows.
        failed: number of rows with an error.
        job_started: start of the job that wrote the file, by its driver's clock; None if not
            recorded.
        committed: time at which the file was written, by the same clock; None if not recorded.
    """

    rows: int
    failed: int
    job_started: datetime | None
    committed: datetime | None


def make_metadata(
    provenance: bytes,
    shard: int,
    job_started: str,
    committed: str,
    failed_before: Sequence[int] = (),
) -> dict[bytes, bytes]:
    """Make the Parquet metadata of a shard's file.

    Args:
        provenance: from `run_record.provenance`.
        shard: number of the shard.
        job_started: start of the job, in ISO 8601.
        committed: time at which the file is written, in ISO 8601.
        failed_before: numbers of the shard's rows whose error was in the manifest already.
    """
    times = {"job_started": job_started, "committed": committed}
    metadata = {
        _PROVENANCE_KEY: provenance,
        _SHARD_KEY: str(shard).encode(),
        _TIMES_KEY: json.dumps(times).encode(),
    }
    if len(failed_before):
        metadata[_FAILED_BEFORE_KEY] = json.dumps(list(failed_before)).encode()
    return metadata


def read_footer(uri: str, shard: int, expected: dict[str, Any] | None) -> Footer | None:
    """Read the footer of a shard's file.

    Args:
        uri: URI of the file.
        shard: number that the file must have.
        expected: identity of the run that the file must belong to; see `run_record.identity`.
            None if it belongs to no run.

    Returns:
        the footer; None if the file is torn, or belongs to another shard or run.

    Raises:
        StorageError: the file cannot be read.
    """
    if expected is None:
        return None
    try:
        with storage.open_file(uri) as stream:
            footer = pq.read_metadata(stream)
    except (pa.ArrowException, OSError):
        # Either the file is torn or the storage fails. Reading the whole file tells them apart:
        # a failing storage raises StorageError.
        content = io.BytesIO(storage.read_bytes(uri))
        try:
            footer = pq.read_metadata(content)
        except (pa.ArrowException, OSError):
            return None
    metadata = footer.metadata or {}
    if not _belongs_to_run(metadata.get(_PROVENANCE_KEY, b""), expected):
        return None
    if metadata.get(_SHARD_KEY) != str(shard).encode():
        return None
    times = json.loads(metadata.get(_TIMES_KEY, b"{}"))
    # The last column is `error`, which is null in rows with scores.
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    scored = sum(group.column(footer.num_columns - 1).statistics.null_count for group in groups)
    return Footer(
        rows=footer.num_rows,
        failed=footer.num_rows - scored,
        job_started=_parse_time(times.get("job_started")),
        committed=_parse_time(times.get("committed")),
    )


def read_footers(uri: str, run: Run) -> Iterator[tuple[int, str, Footer | None]]:
    """Read the footers of an output's shards.

    Args:
        uri: the output, absolute.
        run: the run that the files must belong to.

    Yields:
        for each file that readers take for a shard, see `list_shard_files`: number of the shard,
        URI of the file, and its footer, or None if it is torn or not of this run.
    """
    expected = find_identities(run)
    files = list(list_shard_files(uri))
    footers = map_in_threads(lambda file: read_footer(file[1], file[0], expected(file[0])), files)
    for (shard, file), footer in zip(files, footers, strict=True):
        yield shard, file, footer


def read_shard(uri: str, columns: list[str] | None = None) -> pa.Table:
    """Read the rows of a shard's file.

    Args:
        uri: URI of the file.
        columns: columns to read; None for all.

    Raises:
        StorageError: the file cannot be read, or its pages are damaged though its footer is not.
    """
    content = pa.BufferReader(storage.read_bytes(uri))
    try:
        return pq.read_table(content, columns=columns)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise StorageError(
            f"{uri} is damaged ({reason}): delete it, and the command of this run makes it again"
        ) from error


def read_manifest_rows(uri: str) -> pa.Table:
    """Read the rows of the manifest from a shard's file.

    Returns:
        the manifest's columns, and `error_kind` and `error`, which are null but for rows whose
        error was in the manifest.

    Raises:
        StorageError: see `read_shard`.
    """
    table = read_shard(uri)
    metadata = table.schema.metadata
    # Another release may have added other columns than this one does.
    added = json.loads(metadata[_PROVENANCE_KEY]).get("columns", schema.MEANINGS)
    failed_before = np.zeros(len(table), dtype=bool)
    failed_before[json.loads(metadata.get(_FAILED_BEFORE_KEY, b"[]"))] = True
    rows = table.select([name for name in table.column_names if name not in added])
    for name in schema.ERRORS:
        errors = pc.if_else(pa.array(failed_before), table[name], None)
        rows = rows.append_column(name, errors)
    return rows.replace_schema_metadata(None)


def map_in_threads(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Map in threads a function that waits for the storage; keep few results in memory."""
    listed = list(items)
    with ThreadPoolExecutor(_READERS) as readers:
        for start in range(0, len(listed), _ITEMS_PER_BATCH):
            yield from readers.map(function, listed[start : start + _ITEMS_PER_BATCH])


def list_shard_files(uri: str) -> Iterator[tuple[int, str]]:
    """List the files of an output that readers take for shards.

    Yields:
        number of the shard, or -1 if roi-ray writes no file of this name; and the file's URI.
    """
    for name in storage.list_files(uri):
        if match := re.fullmatch(r"shard-(.*)\.parquet", name):
            number = int(match[1]) if re.fullmatch(r"[0-9]{6,}", match[1]) else -1
            # A shard has one name. The same number with more zeros would be the same rows again.
            yield number if name == shard_name(number) else -1, storage.join(uri, name)


def shard_name(shard: int) -> str:
    """Return the name of a shard's file."""
    return f"shard-{shard:06}.parquet"


def _belongs_to_run(provenance: bytes, expected: dict[str, Any]) -> bool:
    try:
        return not list_differences(identity(json.loads(provenance)), expected)
    except (ValueError, KeyError, TypeError):
        return False


def _parse_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
