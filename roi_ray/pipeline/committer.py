"""The committer: collects results, which arrive in any order, and writes each complete shard."""

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.errors import OutputError, WorkerDied
from roi_ray.io.manifest import find_failed
from roi_ray.pipeline.kind import RETRIED_KINDS, ROW, SHARD
from roi_ray.pipeline.output_writer import OutputWriter
from roi_ray.pipeline.plan import Rows
from roi_ray.runtime import logs, telemetry
from roi_ray.runtime.progress import ProgressReporter
from roi_ray.schema import Failure


class Committer:
    """Collector of one part's results, which commits each shard when it is complete.

    Args:
        manifest: all rows of the part.
        missing: the rows to wait for, by shard.
        writer: writes the shards.
        first_failures: logs some of the failed rows.
        progress: receives every result.

    Attributes:
        failed: number of failed rows in the shards committed so far.
    """

    def __init__(
        self,
        manifest: pa.Table,
        missing: dict[int, Rows],
        writer: OutputWriter,
        first_failures: logs.FirstFailures,
        progress: ProgressReporter,
    ) -> None:
        self.failed = 0
        self._manifest = manifest
        self._missing = dict(missing)
        self._writer = writer
        self._kind = writer.kind
        self._first_failures = first_failures
        self._progress = progress
        self._results: dict[int, list[pa.Table]] = {}
        self._received: dict[int, set[int]] = {}
        self._first_result: dict[int, float] = {}

    def add(self, results: pa.Table) -> None:
        """Add results of any shards.

        Raises:
            RoiRayError: a result is one of the job's `fatal_errors`.
        """
        # Filtering takes longer than all the rest, so tables without errors are not filtered.
        if _has_failed(results):
            self._check_errors(results)
        shards = results[SHARD].to_numpy()
        numbers = np.unique(shards).tolist()
        for shard in numbers:
            is_shard = pa.array(shards == shard)
            self._add_to_shard(shard, results if len(numbers) == 1 else results.filter(is_shard))

    def _check_errors(self, results: pa.Table) -> None:
        for error in self._kind.fatal_errors:
            if texts := select_kind(results, error.__name__)[schema.ERROR].to_pylist():
                raise error(texts[0])
        # The stages have counted all other rows.
        for kind in RETRIED_KINDS:
            telemetry.count_pairs(select_kind(results, kind)[schema.ERROR_KIND].to_pylist())

    def add_failed_before(self) -> None:
        """Add the rows that failed in an earlier step, with the errors that the manifest has."""
        is_failed = find_failed(self._manifest)
        if is_failed is None:
            return
        flags = is_failed.to_numpy()
        for shard, rows in list(self._missing.items()):
            failed = rows[flags[rows]]
            if not len(failed):
                continue
            errors = self._manifest.select(schema.ERRORS).take(failed)
            rows_of_shard = {SHARD: np.full(len(failed), shard), ROW: failed}
            columns = rows_of_shard | dict(zip(schema.ERRORS, errors.columns, strict=True))
            self._add_to_shard(shard, _complete_results(columns, self._kind.results))

    def rows_without_result(self) -> dict[int, Rows]:
        """Return the rows that are still missing, by shard."""
        return {
            shard: rows[[row not in self._received.get(shard, ()) for row in rows.tolist()]]
            for shard, rows in self._missing.items()
        }

    def mark_lost_rows(self) -> None:
        """Record every row that is still missing as failed: no process survived it."""
        failure = {schema.ERROR_KIND: WorkerDied.__name__, schema.ERROR: self._kind.lost}
        for shard, rows in self.rows_without_result().items():
            lost = [{SHARD: shard, ROW: row, **failure} for row in rows.tolist()]
            telemetry.count_pairs([WorkerDied.__name__] * len(lost))
            self.add(pa.Table.from_pylist(lost, self._kind.results))

    def _add_to_shard(self, shard: int, results: pa.Table) -> None:
        # Results that were lost with their node and computed again may arrive twice, even after
        # their shard was committed.
        if shard not in self._missing:
            return
        received = self._received.setdefault(shard, set())
        rows = results[ROW].to_pylist()
        if not received.isdisjoint(rows):
            results = results.filter(pa.array([row not in received for row in rows]))
        if not len(results):
            return
        received.update(rows)
        self._results.setdefault(shard, []).append(results)
        self._first_result.setdefault(shard, time.monotonic())
        failed = self._log_failed(shard, results) if _has_failed(results) else 0
        self._progress.advance(len(results), failed)
        if sum(map(len, self._results[shard])) == len(self._missing[shard]):
            self._commit(shard)

    def _log_failed(self, shard: int, results: pa.Table) -> int:
        """Log the first failed rows; return how many of these results have failed."""
        failed = results.filter(pc.is_valid(results[schema.ERROR]))
        self._first_failures.add(
            shard,
            self._manifest[schema.PAIR_ID].take(failed[ROW]).to_pylist(),
            map(Failure, *(failed[name].to_pylist() for name in (schema.ERROR_KIND, schema.ERROR))),
        )
        return len(failed)

    def _commit(self, shard: int) -> None:
        del self._received[shard]
        results = pa.concat_tables(self._results.pop(shard)).combine_chunks()
        rows = self._missing.pop(shard)
        results = results.take(pc.index_in(pa.array(rows), results[ROW].combine_chunks()))
        if not np.array_equal(results[ROW].to_numpy(), rows):
            raise OutputError(f"shard {shard} got results for other rows than its own")
        with telemetry.time_stage("commit"):
            failed = self._writer.commit(shard, self._manifest.take(rows), results)
        self.failed += failed
        logs.LOGGER.info(
            "shard %d: %d rows, %d failed, %.1f s since its first result",
            shard,
            len(rows),
            failed,
            time.monotonic() - self._first_result.pop(shard),
        )


def _complete_results(columns: dict[str, Any], results: pa.Schema) -> pa.Table:
    """Make results of which only some columns are known; the others are null."""
    count = len(columns[ROW])
    return pa.table(
        [columns.get(field.name, pa.nulls(count, field.type)) for field in results], schema=results
    )


def select_kind(results: pa.Table, kind: str) -> pa.Table:
    """Select the results that failed with this kind of error."""
    return results.filter(_is_kind(results, kind))


def drop_kinds(results: pa.Table, kinds: Iterable[str]) -> pa.Table:
    """Drop the results that failed with these kinds of errors."""
    if _has_failed(results):
        for kind in kinds:
            results = results.filter(pc.invert(_is_kind(results, kind)))
    return results


def _has_failed(results: pa.Table) -> bool:
    return bool(results[schema.ERROR_KIND].null_count < len(results))


def _is_kind(results: pa.Table, kind: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(results[schema.ERROR_KIND], kind), fill_value=False)
