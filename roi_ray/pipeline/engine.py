"""The engine: runs the two stages, decoding and scoring, on Ray Data."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

import pyarrow as pa

from roi_ray.io.allowlist import build_allowlist
from roi_ray.models.networks import Provenance
from roi_ray.pipeline.decode_stage import decode_work_items
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.plan import split_into_blocks
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.runtime.cluster import WorkerPlan, connect, plan_workers
from roi_ray.settings import Settings

if TYPE_CHECKING:
    from ray.data import Dataset

_BLOCK_BYTES = 1 << 20
_RETRIES = 2
"""Retries of work that lost its process. Ray retries for ever by default, and one file that crashes
its decoder would then never end."""


@dataclass(frozen=True)
class Stages:
    """The two stages, as `map_batches` takes them.

    Attributes:
        decode: work items -> chunks.
        actor: constructed once per process; chunks -> results.
    """

    decode: Callable[..., Iterator[pa.Table]] = decode_work_items
    actor: Callable[..., Callable[[pa.Table], pa.Table]] = ScoringActor


class RayEngine:
    """Context manager that scores work items on Ray Data; connects to Ray on first use.

    Args:
        base: URI of the folder that relative URIs are relative to.
        settings: settings that decide the numbers.
        options: options of the job.
        weights: the weights that the job has recorded.
        stages: the two stages.
    """

    def __init__(
        self,
        base: str,
        settings: Settings,
        options: Options,
        weights: Provenance,
        stages: Stages,
    ) -> None:
        self._base = base
        self._settings = settings
        self._options = options
        self._weights = weights
        self._stages = stages
        self._connection = ExitStack()
        self._workers: WorkerPlan | None = None

    def __enter__(self) -> "RayEngine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def score(self, items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
        """Decode and score work items.

        Args:
            items: from `make_work_items`.
            isolate: whether each task gets a single work item.

        Yields:
            tables of the columns `RESULTS`, in any order. Rows whose process died are missing.

        Raises:
            ClusterError: Ray cannot be reached or started.
            DeviceError: no GPU is available.
        """
        if self._workers is None:
            starts_ray = self._connection.enter_context(connect())
            self._workers = plan_workers(
                self._options.device,
                self._options.actors,
                self._options.gpus_per_actor,
                can_grow=not starts_ray,
            )
        blocks = list(split_into_blocks(items, isolate=isolate))
        yield from self._build_dataset(blocks, self._workers).iter_batches(
            batch_size=None,
            batch_format="pyarrow",
            # With prefetching, results would wait for those of the next block.
            prefetch_batches=0,
        )

    def _build_dataset(self, blocks: list[pa.Table], workers: WorkerPlan) -> "Dataset":
        """Build the graph: work items -> decode tasks -> scoring actors -> results."""
        import ray.data
        from ray.data import ActorPoolStrategy, DataContext

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # Copying a context reads settings that Ray itself calls deprecated, and before 2.64 the
            # numbers of retries can only be passed in a deprecated way.
            warnings.simplefilter("ignore", DeprecationWarning)
            context = DataContext.get_current().copy()
            context.enable_progress_bars = False
            context.print_on_execution_start = False
            # An actor takes one block at a time. Ray would put chunks of several references into a
            # larger one.
            context.target_max_block_size = _BLOCK_BYTES
            # A block whose process dies again and again is dropped; the job goes on.
            context.max_errored_blocks = -1
            with DataContext.current(context):
                return (
                    # `from_arrow` would run a task per block for its metadata, and wait for all of
                    # them before it asks for an actor: on a cluster that starts from zero, a GPU
                    # node would be requested only after a CPU node is up.
                    ray.data.from_blocks(blocks)
                    .map_batches(
                        self._stages.decode,
                        batch_size=1,
                        batch_format="pyarrow",
                        fn_kwargs={
                            "base": self._base,
                            "allowlist": build_allowlist(self._base, self._options.allow_prefixes),
                            "max_pixels": self._options.max_pixels,
                        },
                        max_retries=_RETRIES,
                        **workers.decode_resources,
                    )
                    .map_batches(
                        self._stages.actor,
                        batch_size=workers.chunks_per_batch,
                        batch_format="pyarrow",
                        fn_constructor_kwargs={
                            "settings": self._settings,
                            "device": workers.device,
                            "batch": self._options.batch,
                            "weights_dir": self._options.weights_dir,
                            "threads": workers.threads,
                            "weights": self._weights,
                            "allow_slow_precision": self._options.allow_slow_precision,
                        },
                        # The next chunk is unpacked while one is being scored.
                        compute=ActorPoolStrategy(
                            min_size=min(workers.initial_actors, len(blocks)),
                            max_size=min(workers.actors, len(blocks)),
                            max_concurrent_calls_per_actor=2,
                        ),
                        max_task_retries=_RETRIES,
                        **workers.actor_resources,
                    )
                )
