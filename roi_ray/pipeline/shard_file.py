"""A shard's Parquet file: its name, its rows, and its footer, which names the run it belongs to."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray.errors import StorageError
from roi_ray.io import storage
from roi_ray.pipeline.run_record import identity

_PROVENANCE_KEY = b"roi_ray"
_SHARD_KEY = b"roi_ray_shard"
_TIMES_KEY = b"roi_ray_when"


@dataclass(frozen=True)
class Footer:
    """The content of the footer of a shard's file.

    Attributes:
        rows: number of pairs.
        failed: number of pairs with an error.
        job_started: start of the job that wrote the file, by its driver's clock; None if not
            recorded.
        committed: time at which the file was written, by the same clock; None if not recorded.
    """

    rows: int
    failed: int
    job_started: datetime | None
    committed: datetime | None


def make_metadata(
    provenance: bytes, shard: int, job_started: str, committed: str
) -> dict[bytes, bytes]:
    """Make the Parquet metadata of a shard's file.

    Args:
        provenance: from `run_record.provenance`.
        shard: number of the shard.
        job_started: start of the job, in ISO 8601.
        committed: time at which the file is written, in ISO 8601.
    """
    times = {"job_started": job_started, "committed": committed}
    return {
        _PROVENANCE_KEY: provenance,
        _SHARD_KEY: str(shard).encode(),
        _TIMES_KEY: json.dumps(times).encode(),
    }


def read_footer(uri: str, shard: int, expected: dict[str, Any]) -> Footer | None:
    """Read the footer of a shard's file.

    Args:
        uri: URI of the file.
        shard: number that the file must have.
        expected: identity of the run that the file must belong to; see `run_record.identity`.

    Returns:
        the footer; None if the file is torn, or belongs to another shard or run.

    Raises:
        StorageError: the file cannot be read.
    """
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
        return identity(json.loads(provenance)) == expected
    except (ValueError, KeyError, TypeError):
        return False


def _parse_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
