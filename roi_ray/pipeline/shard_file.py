"""What the file of a shard says of itself: in its footer, which is read without the rows."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray.errors import StorageError
from roi_ray.io import storage

PROVENANCE = ("roi_ray", "config", "columns")
"""Of `run.json`: what stands in every file as well, for those who read it alone."""

_IDENTITY = ("roi_ray", "config")
"""Of these: what made the numbers, and so must be the same in all files of a run."""

_PROVENANCE_KEY = b"roi_ray"
_SHARD_KEY = b"roi_ray_shard"
_WHEN_KEY = b"roi_ray_when"


@dataclass(frozen=True)
class Footer:
    """What there is to know of a shard's file.

    Attributes:
        rows: pairs in it.
        failed: of them with an error.
        job_started: when the job that wrote it began, by its driver's clock; None if not recorded.
        committed: when it was written.
    """

    rows: int
    failed: int
    job_started: datetime | None
    committed: datetime | None


def provenance(run: dict[str, Any]) -> bytes:
    """What made the numbers of a run, as its files have it."""
    return json.dumps({name: run[name] for name in PROVENANCE}, sort_keys=True).encode()


def identity(run: Mapping[str, Any]) -> dict[str, Any]:
    """What made the numbers of a run: version and configuration, as JSON has them."""
    found: dict[str, Any] = json.loads(json.dumps({name: run[name] for name in _IDENTITY}))
    return found


def metadata(provenance: bytes, shard: int, job_started: str, committed: str) -> dict[bytes, bytes]:
    """The metadata of a shard's file; times are in ISO 8601."""
    when = {"job_started": job_started, "committed": committed}
    return {
        _PROVENANCE_KEY: provenance,
        _SHARD_KEY: str(shard).encode(),
        _WHEN_KEY: json.dumps(when).encode(),
    }


def read_footer(uri: str, shard: int, expected: dict[str, Any]) -> Footer | None:
    """The footer of a shard's file; None if it is torn, another shard's, or of another `identity`.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with storage.open_file(uri) as stream:
            found = pq.read_metadata(stream)
    except (pa.ArrowException, OSError):
        # The file may be torn, or the storage in trouble, which must not look the same: read
        # whole, the storage says so.
        content = io.BytesIO(storage.read_bytes(uri))
        try:
            found = pq.read_metadata(content)
        except (pa.ArrowException, OSError):
            return None
    pairs = found.metadata or {}
    if not _is_of(pairs.get(_PROVENANCE_KEY, b""), expected):
        return None
    if pairs.get(_SHARD_KEY) != str(shard).encode():
        return None
    when = json.loads(pairs.get(_WHEN_KEY, b"{}"))
    # The last column is `error`, and where it is null there are scores.
    groups = [found.row_group(number) for number in range(found.num_row_groups)]
    scored = sum(group.column(found.num_columns - 1).statistics.null_count for group in groups)
    return Footer(
        rows=found.num_rows,
        failed=found.num_rows - scored,
        job_started=_time(when.get("job_started")),
        committed=_time(when.get("committed")),
    )


def read_shard(uri: str, columns: list[str] | None = None) -> pa.Table:
    """The rows of a shard's file, or some columns of them.

    Raises:
        StorageError: it cannot be read, or is damaged behind its footer.
    """
    content = pa.BufferReader(storage.read_bytes(uri))
    try:
        return pq.read_table(content, columns=columns)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise StorageError(
            f"{uri} is damaged ({reason}): delete it, and the same job makes it anew"
        ) from error


def shard_files(uri: str) -> Iterator[tuple[int, str]]:
    """Number and URI of what is named like a shard's file in an output; -1 if no shard is."""
    for name in storage.list_files(uri):
        if found := re.fullmatch(r"shard-(.*)\.parquet", name):
            number = int(found[1]) if re.fullmatch(r"[0-9]{6,}", found[1]) else -1
            # One name for each: another one would be the same rows again.
            yield number if name == shard_name(number) else -1, storage.join(uri, name)


def shard_name(shard: int) -> str:
    """The name of a shard's file."""
    return f"shard-{shard:06}.parquet"


def _is_of(provenance: bytes, expected: dict[str, Any]) -> bool:
    try:
        return identity(json.loads(provenance)) == expected
    except (ValueError, KeyError, TypeError):
        return False


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
