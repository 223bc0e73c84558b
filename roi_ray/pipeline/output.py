"""A folder of scores: one Parquet file a shard, and what is needed to say how they were made.

    OUTPUT/shard-000000.parquet   the scores; together one data set
    OUTPUT/_run/run.json          versions, settings, weights, columns; the manifest's place
    OUTPUT/_run/lock.json        who is writing, while it is
    OUTPUT/_run/torn/             files that stood where a shard belongs and were not one

Readers of Parquet data sets pass over names that begin with an underscore.
"""

import io
import json
import platform
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import roi_ray
from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io import storage
from roi_ray.io.lock import OutputLock
from roi_ray.pipeline.plan import Rows
from roi_ray.pipeline.shard_file import (
    PROVENANCE,
    identity,
    metadata,
    provenance,
    read_footer,
    shard_files,
    shard_name,
)
from roi_ray.runtime.logs import LOGGER

Config = dict[str, Any]

_RUN = "_run"
RUN_JSON = (_RUN, "run.json")
"""Below the output: versions, settings, weights, columns; where the manifest was."""
LOCK_JSON = (_RUN, "lock.json")


class Output:
    """The output of one run; or of several, if one was interrupted and started again.

    Args:
        uri: folder, local or on S3.
        config: what makes two runs the same run. Machines, actors and batches are not part of it.
        manifest: where it is: `given`, `uri` and `base`, as `Manifest` has them. One that was moved
            is still the same.

    Raises:
        OutputError: the folder has shards of a run of another configuration, or of another
            version of roi-ray.
    """

    def __init__(self, uri: str, config: Config, manifest: Mapping[str, str] | None = None) -> None:
        self.uri = storage.absolute(uri)
        self._config = config
        self._torn: list[str] = []
        self._lease: OutputLock | None = None
        self._stale = False
        self._run_json = storage.join(self.uri, *RUN_JSON)
        import torch  # not for those who only look at an output

        self._started = _now()
        self._run: Config = {
            "roi_ray": roi_ray.__version__,
            "started": self._started,
            "manifest": dict(manifest or {}),
            "config": config,
            "columns": _columns(),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "pyarrow": pa.__version__,
            },
        }
        self._provenance = provenance(self._run)
        self._identity = identity(self._run)
        if storage.is_file(self._run_json):
            there = read_run(self.uri)
            same = self._is_same(identity(there))
            if same:
                self._run["started"] = there.get("started", self._started)
            self._stale = not same or self._told(there) != self._told(self._run)
        elif storage.list_files(self.uri):
            raise OutputError(
                f"{self.uri} holds files but no {_RUN}/run.json: it is not an output of this job; "
                "name an empty or new folder"
            )
        else:
            self._write_run()

    def shard_uri(self, shard: int) -> str:
        """Where a shard's file is."""
        return storage.join(self.uri, shard_name(shard))

    def done(self, plan: Mapping[int, Rows]) -> dict[int, int]:
        """Those of the shards that are complete, and how many of their rows failed.

        Raises:
            StorageError: it cannot be found out.
        """
        present = set(storage.list_files(self.uri))
        names = {shard_name(shard): shard for shard in plan}
        self._torn.clear()
        candidates = [(shard, name) for name, shard in names.items() if name in present]
        with ThreadPoolExecutor(16) as readers:
            failures = readers.map(lambda c: self._failed(c[0], len(plan[c[0]])), candidates)
            done = {}
            for (shard, name), failed in zip(candidates, failures, strict=True):
                if failed is None:
                    self._torn.append(name)
                else:
                    done[shard] = failed
        return done

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other jobs from writing here meanwhile. What `done` said before may have changed.

        Raises:
            OutputError: another job is writing here already; or one of another configuration has
                begun here since this one looked.
        """
        with OutputLock(storage.join(self.uri, *LOCK_JSON)) as self._lease:
            if not self._is_same(identity(read_run(self.uri))) or self._stale:
                self._write_run()
            yield

    def tell(self) -> None:
        """Let `run.json` tell of this job, though it has nothing to write: of a moved manifest."""
        if self._stale:
            with self.held():
                pass

    def set_torn_aside(self) -> None:
        """Move files that `done` found in a shard's place, but not that shard, to `_run/torn/`."""
        while self._torn:
            self.set_aside(self._torn.pop())

    def strays(self, shards: int) -> list[str]:
        """Names that readers would take for a shard's file, of none of the run's so many shards."""
        files = shard_files(self.uri)
        return [uri.rpartition("/")[2] for shard, uri in files if shard not in range(shards)]

    def set_aside(self, name: str) -> None:
        """Move a file that readers would take for a shard, and that is none, to `_run/torn/`."""
        aside = storage.join(self.uri, _RUN, "torn", name)
        LOGGER.warning("%s is torn, or not of this run: moved to %s", name, aside)
        storage.move(storage.join(self.uri, name), aside)

    def commit(self, shard: int, manifest_rows: pa.Table, scores: pa.Table) -> int:
        """Write a shard's file, whole or not at all; returns how many of its rows failed.

        Args:
            shard: its number.
            manifest_rows: the manifest's columns.
            scores: the columns of `schema.SCORES`, for the same rows in the same order.

        Raises:
            OutputError: another job has taken the output over.
        """
        if self._lease is not None:
            self._lease.check()
        table = pa.Table.from_arrays(
            manifest_rows.columns + scores.columns,
            schema=pa.schema(
                [*manifest_rows.schema, *schema.SCORES],
                metadata(self._provenance, shard, self._started, _now()),
            ),
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        storage.write_bytes(self.shard_uri(shard), buffer.getvalue())
        return int(table.num_rows - table[schema.ERROR].null_count)

    def _failed(self, shard: int, rows: int) -> int | None:
        """Failed rows of a shard's file; None if it is not the whole shard."""
        footer = read_footer(self.shard_uri(shard), shard, self._identity)
        return footer.failed if footer is not None and footer.rows == rows else None

    def _write_run(self) -> None:
        storage.write_bytes(self._run_json, (json.dumps(self._run, indent=2) + "\n").encode())
        self._stale = False

    def _told(self, run: Config) -> Config:
        """What `run.json` shall tell of the latest job, and not of the first."""
        return {name: run.get(name) for name in ("manifest", *PROVENANCE)}

    def _is_same(self, there: Config) -> bool:
        """Whether it is this run; another one may be replaced as long as it has no shards.

        Raises:
            OutputError: it is another one, and has some.
        """
        old, new = (
            _flat({"roi_ray": run["roi_ray"], **run["config"]}) for run in (there, self._identity)
        )
        differing = [
            f"  {key}: {old.get(key)!r} there, {new.get(key)!r} now"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]
        if differing and any(shard_files(self.uri)):
            raise OutputError(
                "\n".join(
                    [
                        f"{self.uri} holds the scores of a run that differs from this one:",
                        *differing,
                        "give the same settings and manifest, with the same version of roi-ray, to "
                        "go on with it, or name another --output",
                    ]
                )
            )
        return not differing


def read_run(uri: str) -> Config:
    """What `_run/run.json` of an output holds.

    Raises:
        OutputError: it is not there, or not what `Output` writes.
    """
    file = storage.join(uri, *RUN_JSON)
    if not storage.is_file(file):
        raise OutputError(f"{uri} has no {'/'.join(RUN_JSON)}: it is no output of jobs/score.py")
    try:
        run: Config = json.loads(storage.read_bytes(file))
        provenance(run), run["config"]["manifest"]["rows"], run["config"]["shard_size"]
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{file} is not what jobs/score.py writes: {error!r}") from error
    return run


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _columns() -> dict[str, dict[str, str | None]]:
    return {name: asdict(meaning) for name, meaning in schema.MEANINGS.items()}


def _flat(config: Config, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
