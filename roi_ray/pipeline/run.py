"""Score a manifest: the whole job, from a manifest's URI to committed Parquet files."""

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from roi_ray.errors import DeviceError, StorageUnavailable, WeightsError
from roi_ray.io import storage
from roi_ray.io.allowlist import build_allowlist
from roi_ray.io.manifest import Manifest, read_manifest
from roi_ray.models.networks import Provenance
from roi_ray.pipeline.committer import Committer, without
from roi_ray.pipeline.decode_stage import decode
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.plan import blocks, plans, work_items
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.runtime import logs
from roi_ray.runtime.cluster import WorkerPlan, connect, plan_workers
from roi_ray.runtime.progress import ProgressReporter
from roi_ray.scoring.scorer import load_networks_for
from roi_ray.settings import Settings

if TYPE_CHECKING:
    from ray.data import Dataset

_BLOCK_BYTES = 1 << 20
_EXAMPLES = 5
# Of what lost its process. Ray's default is to try for ever, which one file that crashes its
# decoder would make use of.
_RETRIES = 2


@dataclass(frozen=True)
class Stages:
    """The two stages of the job, as `map_batches` takes them.

    Attributes:
        decode: work items -> chunks.
        actor: made once a process; chunks -> rows of results.
    """

    decode: Callable[..., Iterator[pa.Table]] = decode
    actor: Callable[..., Callable[[pa.Table], pa.Table]] = ScoringActor


@dataclass(frozen=True)
class Summary:
    """What came of a job.

    Attributes:
        output: URI of the scores.
        rows: pairs in the output.
        failed: pairs with an error instead of scores.
        scored: pairs that this run did; the others were there already.
        seconds: that this run took.
        examples: some of the errors that this run met.
    """

    output: str
    rows: int
    failed: int
    scored: int
    seconds: float
    examples: tuple[str, ...] = ()


def score_manifest(
    manifest_uri: str,
    output_uri: str,
    settings: Settings | None = None,
    options: Options | None = None,
    stages: Stages | None = None,
) -> Summary:
    """Score every pair of a manifest, or those that an interrupted run left.

    Args:
        manifest_uri: see `read_manifest`.
        output_uri: a new folder, or one that a run with the same settings left.
        settings: what decides the numbers.
        options: how the job runs.
        stages: what the job is made of, for those who measure or test the rest of it.

    Raises:
        ManifestError: the manifest cannot be used.
        WeightsError: weights are missing, altered, or of an unknown layout.
        DeviceError: the device is not available.
        OutputError: the output belongs to another run, or another job is writing to it.
        StorageError: the manifest or the output cannot be reached, or S3 refuses the credentials,
            be it half-way. What is done by then stays done.
    """
    started = time.monotonic()
    settings, options = settings or Settings(), options or Options()
    stages = stages or Stages()
    manifest = read_manifest(manifest_uri, options.limit)
    # Loading the networks here finds unusable weights before a cluster is asked for anything.
    weights = load_networks_for(settings, options.weights_dir).provenance
    places = {"given": manifest_uri, "uri": manifest.uri, "base": manifest.base}
    output = Output(output_uri, _config(manifest, settings, options, weights), places)
    failed = scored = 0
    first_failures = logs.FirstFailures()
    with ProgressReporter(manifest.rows) as reporter, ExitStack() as connection:
        workers: WorkerPlan | None = None
        held = False
        shards = 0
        for rows, part in plans(manifest.parts(), options.shard_size):
            shards += len(part)
            failures = output.done(part)
            if len(failures) < len(part) and not held:
                connection.enter_context(output.held())
                held = True
                # Once more: another job may have ended since.
                failures = output.done(part)
            todo = {shard: which for shard, which in part.items() if shard not in failures}
            new = sum(map(len, todo.values()))
            reporter.skip(len(rows) - new)
            if todo:
                if workers is None:
                    own = connection.enter_context(connect())
                    workers = plan_workers(
                        options.device, options.actors, options.gpus_per_actor, can_grow=not own
                    )
                output.set_torn_aside()
                gather = Committer(rows, output, todo, failures, first_failures, reporter)
                graph = partial(
                    _dataset, manifest.base, settings, options, weights, workers, stages
                )
                with _actors_errors():
                    _score(rows, gather, graph)
            scored += new
            failed += sum(failures.values())
        if (strays := output.strays(shards)) and not held:
            connection.enter_context(output.held())
            held = True
        for name in strays:
            output.set_aside(name)
        if not held:
            output.tell()
    return Summary(
        output=output.uri,
        rows=manifest.rows,
        failed=failed,
        scored=scored,
        seconds=time.monotonic() - started,
        examples=tuple(first_failures.errors[:_EXAMPLES]),
    )


def _score(rows: pa.Table, gather: Committer, graph: Callable[[list[pa.Table]], "Dataset"]) -> None:
    # What kills its process is lost with everything that is in work beside it. A second pass gives
    # each lost pair a process's attention of its own, and S3 more time for what it would not give.
    for isolate in (False, True):
        if missing := gather.missing():
            items = work_items(rows, missing, isolate=isolate)
            for results in graph(list(blocks(items, isolate=isolate))).iter_batches(
                batch_size=None,
                batch_format="pyarrow",
                # Otherwise results wait for those of the next block before they are committed.
                prefetch_batches=0,
            ):
                gather.add(results if isolate else without(StorageUnavailable, results))
    gather.give_up()


@contextmanager
def _actors_errors() -> Iterator[None]:
    """What an actor raised on purpose when it was made: Ray tells it as a text."""
    from ray.exceptions import RayActorError

    try:
        yield
    except RayActorError as error:
        for kind in (WeightsError, DeviceError):
            if said := re.findall(rf"{kind.__module__}\.{kind.__name__}: (.+)", str(error)):
                raise kind(f"a scoring actor cannot start: {said[-1]}") from error
        raise


def _dataset(
    base: str,
    settings: Settings,
    options: Options,
    weights: Provenance,
    workers: WorkerPlan,
    stages: Stages,
    parts: list[pa.Table],
) -> "Dataset":
    """The graph: work items -> decode tasks -> scoring actors -> results."""
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Ray's own copying of a context touches settings that it calls deprecated; and until 2.64
        # numbers of retries have no other way in than one that it calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        context = DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # A block is what an actor takes at once: Ray would put several references' chunks into it.
        context.target_max_block_size = _BLOCK_BYTES
        # A block whose process dies again and again is given up, not the job.
        context.max_errored_blocks = -1
        with DataContext.current(context):
            return (
                # `from_arrow` runs a task a block for its metadata, and waits, before it asks for
                # any actor; on a cluster that starts from nothing, for a GPU node after a CPU node.
                ray.data.from_blocks(parts)
                .map_batches(
                    stages.decode,
                    batch_size=1,
                    batch_format="pyarrow",
                    fn_kwargs={
                        "base": base,
                        "allowlist": build_allowlist(base, options.allow),
                        "max_pixels": options.max_pixels,
                    },
                    max_retries=_RETRIES,
                    **workers.decode_resources,
                )
                .map_batches(
                    stages.actor,
                    batch_size=workers.chunks_per_batch,
                    batch_format="pyarrow",
                    fn_constructor_kwargs={
                        "settings": settings,
                        "device": workers.device,
                        "batch": options.batch,
                        "weights_dir": options.weights_dir,
                        "threads": workers.threads,
                        "weights": weights,
                    },
                    # The next chunk is unpacked while one is being scored.
                    compute=ActorPoolStrategy(
                        min_size=min(workers.initial_actors, len(parts)),
                        max_size=min(workers.actors, len(parts)),
                        max_concurrent_calls_per_actor=2,
                    ),
                    max_task_retries=_RETRIES,
                    **workers.actor_resources,
                )
            )


def _config(
    manifest: Manifest, settings: Settings, options: Options, weights: Provenance
) -> dict[str, object]:
    """What makes two runs the same run: all that decides the rows and their numbers."""
    return {
        "manifest": {"rows": manifest.rows, "sha256": manifest.sha256},
        "roi_weighting": settings.roi_weighting,
        "precision": settings.precision,
        # Weights are known by their content: a file may be moved.
        "weights": weights,
        "shard_size": options.shard_size,
        "max_pixels": options.max_pixels,
        "allow": sorted(map(storage.absolute, options.allow)),
    }
