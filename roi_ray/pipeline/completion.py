"""The loop that every kind of job shares: compute and commit what an output lacks."""

from collections.abc import Callable
from dataclasses import dataclass

from roi_ray.io.manifest import Manifest
from roi_ray.pipeline.committer import Committer, drop_kinds
from roi_ray.pipeline.engine import Engine
from roi_ray.pipeline.growth import Rest, find_rest
from roi_ray.pipeline.kind import RETRIED_KINDS
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.output_writer import OutputWriter
from roi_ray.pipeline.plan import PartPlan, Rows, make_work_items, plan_parts
from roi_ray.runtime.logs import FirstFailures
from roi_ray.runtime.progress import ProgressReporter

_EXAMPLES = 5


@dataclass(frozen=True)
class Completion:
    """A complete output.

    Attributes:
        failed: number of rows with an error, in the whole output.
        computed: number of rows that this job computed; earlier jobs computed the others.
        examples: some of the errors that this job met.
    """

    failed: int
    computed: int
    examples: tuple[str, ...] = ()


def complete_output(
    manifest: Manifest, output: Output, start_engine: Callable[[], Engine], shard_size: int
) -> Completion:
    """Compute every row that an output lacks. A finished output is not touched.

    Args:
        manifest: rows of the job.
        output: the output, which may be new.
        start_engine: makes the engine; called only if rows are missing, before the output is
            locked.
        shard_size: rows per shard.

    Raises:
        OutputError: the output belongs to another run, or another job is writing to it.
        RoiRayError: an error of the engine, or a result that is one of the job's `fatal_errors`.
    """
    is_recorded = output.is_recorded()  # refuses an output of another run at once
    kind = output.kind
    with ProgressReporter(manifest.rows, kind.unit, kind.activity) as progress:
        failed = _count_failed_if_finished(manifest, output) if is_recorded else None
        if failed is not None:
            progress.skip(manifest.rows)
            return Completion(failed, computed=0)
        engine = start_engine()
        with output.lock() as writer:
            rest = find_rest(manifest, output, writer)
            return _Completer(output, writer, engine, progress).complete(rest, shard_size)


def _count_failed_if_finished(manifest: Manifest, output: Output) -> int | None:
    """Count the failed rows of a finished output; None if it is not finished. Only reads."""
    complete = output.read_complete_shards()
    is_finished = sum(footer.rows for footer in complete.values()) == manifest.rows
    if not is_finished or output.find_foreign_files(complete):
        return None
    return sum(footer.failed for footer in complete.values())


class _Completer:
    """Computes and commits what a locked output lacks."""

    def __init__(
        self, output: Output, writer: OutputWriter, engine: Engine, progress: ProgressReporter
    ) -> None:
        self._output, self._writer = output, writer
        self._engine, self._progress = engine, progress
        self._first_failures = FirstFailures()

    def complete(self, rest: Rest, shard_size: int) -> Completion:
        """Compute what is missing, and quarantine files that do not belong to the output."""
        failed = sum(footer.failed for footer in rest.earlier.values())
        self._progress.skip(sum(footer.rows for footer in rest.earlier.values()))
        computed, shards = 0, set(rest.earlier)
        for part in plan_parts(rest.parts(), shard_size, rest.first_shard):
            shards.update(part.shards)
            # Under the lock, because another job may have written since the first inspection.
            inventory = self._output.inspect(part.shards)
            new = sum(map(len, inventory.missing.values()))
            failed += sum(inventory.failed.values())
            computed += new
            self._progress.skip(len(part.rows) - new)
            for name in inventory.torn:
                self._writer.quarantine(name)
            if inventory.missing:
                failed += self._compute(part, inventory.missing)
        for name in self._output.find_foreign_files(shards):
            self._writer.quarantine(name)
        examples = dict.fromkeys(map(str, self._first_failures.failures))  # each text once
        return Completion(failed, computed, tuple(examples)[:_EXAMPLES])

    def _compute(self, part: PartPlan, missing: dict[int, Rows]) -> int:
        """Compute and commit the missing rows of a part; return how many failed."""
        kind = self._output.kind
        committer = Committer(
            part.rows, missing, self._writer, self._first_failures, self._progress
        )
        committer.add_failed_before()
        # First pass: many rows per task. A row that kills its process also loses the rows that the
        # process had in work, S3 may not deliver some files, and a row may find too little memory
        # while others are in work. Second pass: one lost row per task.
        for isolate in (False, True):
            left = committer.rows_without_result()
            if not left:
                return committer.failed
            items = make_work_items(part.rows, left, kind.item_lists, isolate=isolate)
            for results in self._engine.run(items, isolate=isolate):
                committer.add(results if isolate else drop_kinds(results, RETRIED_KINDS))
        committer.mark_lost_rows()
        return committer.failed
