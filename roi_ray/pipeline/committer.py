"""Collects results, which come in any order, into committed shards."""

import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.errors import AccessError, OutputError, StorageUnavailable
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.plan import SHARD, Rows
from roi_ray.pipeline.score_stage import RESULTS, ROW
from roi_ray.runtime import logs, telemetry
from roi_ray.runtime.progress import ProgressReporter


class Committer:
    """Commits a shard when all of its results are there.

    Args:
        manifest: all rows of this part of the manifest.
        output: where to.
        todo: the rows that are missing, by shard.
        failures: receives the number of failed rows of each shard.
        first_failures: receives some of them.
        reporter: is told of every result.
    """

    def __init__(
        self,
        manifest: pa.Table,
        output: Output,
        todo: dict[int, Rows],
        failures: dict[int, int],
        first_failures: logs.FirstFailures,
        reporter: ProgressReporter,
    ) -> None:
        self._manifest = manifest
        self._output = output
        self._todo = dict(todo)
        self._failures = failures
        self._first_failures = first_failures
        self._reporter = reporter
        self._parts: dict[int, list[pa.Table]] = {}
        self._there: dict[int, set[int]] = {}
        self._since: dict[int, float] = {}

    def add(self, results: pa.Table) -> None:
        """Take results of any shards.

        Raises:
            AccessError: S3 refuses the workers' credentials.
        """
        if refused := results.filter(_failed_by(AccessError, results))[schema.ERROR].to_pylist():
            raise AccessError(refused[0].removeprefix(f"{AccessError.__name__}: "))
        # Whatever else there is was counted where it happened.
        telemetry.count_pairs(
            results.filter(_failed_by(StorageUnavailable, results))[schema.ERROR].to_pylist()
        )
        shards = results[SHARD].to_numpy()
        for shard in np.unique(shards).tolist():
            part = results.filter(pa.array(shards == shard))
            # What was lost with its node and made anew may come twice, its shard committed or not.
            if shard not in self._todo:
                continue
            there = self._there.setdefault(shard, set())
            part = part.filter(pa.array([row not in there for row in part[ROW].to_pylist()]))
            if not len(part):
                continue
            there.update(part[ROW].to_pylist())
            self._parts.setdefault(shard, []).append(part)
            self._since.setdefault(shard, time.monotonic())
            bad = part.filter(pc.is_valid(part[schema.ERROR]))
            pair_ids = self._manifest[schema.PAIR_ID].take(bad[ROW]).to_pylist()
            self._first_failures.add(shard, pair_ids, bad[schema.ERROR].to_pylist())
            self._reporter.advance(len(part), len(bad))
            self._commit_if_complete(shard)

    def missing(self) -> dict[int, Rows]:
        """Rows without a result, by shard."""
        return {shard: self._without_result(shard) for shard in self._todo}

    def give_up(self) -> None:
        """Record what no process survived."""
        text = "WorkerDied: the process that scored this pair was killed, time and again"
        for shard, rows in self.missing().items():
            lost = [{SHARD: shard, ROW: row, schema.ERROR: text} for row in rows.tolist()]
            telemetry.count_pairs([text] * len(lost))
            self.add(pa.Table.from_pylist(lost, RESULTS))

    def _without_result(self, shard: int) -> Rows:
        rows = self._todo[shard]
        there = self._there.get(shard, set())
        return rows[[row not in there for row in rows.tolist()]]

    def _commit_if_complete(self, shard: int) -> None:
        if sum(len(part) for part in self._parts[shard]) < len(self._todo[shard]):
            return
        del self._there[shard]
        results = pa.concat_tables(self._parts.pop(shard)).combine_chunks()
        rows = self._todo.pop(shard)
        results = results.take(pc.index_in(pa.array(rows), results[ROW].combine_chunks()))
        if not np.array_equal(results[ROW].to_numpy(), rows):
            raise OutputError(f"shard {shard} got results for other rows than its own")
        scores = results.select(schema.SCORES.names)
        with telemetry.time_stage("commit"):
            failed = self._output.commit(shard, self._manifest.take(rows), scores)
        self._failures[shard] = failed
        seconds = time.monotonic() - self._since.pop(shard)
        logs.LOGGER.info(
            "shard %d: %d rows, %d failed, %.1f s since its first",
            shard,
            len(rows),
            failed,
            seconds,
        )


def _failed_by(kind: type[Exception], results: pa.Table) -> pa.ChunkedArray:
    """Which rows of results have an error of this kind."""
    named = pc.starts_with(results[schema.ERROR], f"{kind.__name__}: ")
    return pc.fill_null(named, fill_value=False)


def without(kind: type[Exception], results: pa.Table) -> pa.Table:
    """Results but for those that failed by this kind of error."""
    return results.filter(pc.invert(_failed_by(kind, results)))
