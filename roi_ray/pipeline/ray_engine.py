"""The Ray engine of scoring: the two stages, decoding and scoring, on Ray Data."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pyarrow as pa

from roi_ray.pipeline.job import Job
from roi_ray.pipeline.plan import split_into_blocks
from roi_ray.pipeline.ray_context import RETRIES, iterate, streaming_context
from roi_ray.runtime.cluster import WorkerPlan, connect, plan_workers
from roi_ray.runtime.worker_memory import (
    find_local_device,
    limit_to_memory,
    local_object_store,
)

if TYPE_CHECKING:
    from ray.data import Dataset


class RayEngine:
    """Engine that scores work items on Ray Data; connects to Ray on first use.

    Args:
        job: what to run.
        connection: keeps the connection to Ray.
    """

    def __init__(self, job: Job, connection: ExitStack) -> None:
        self._job = job
        self._connection = connection
        self._workers: WorkerPlan | None = None

    def run(self, items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
        """Decode and score work items; see `Engine.run`."""
        if self._workers is None:
            self._workers = self._plan_workers()
        blocks = list(split_into_blocks(items, isolate=isolate, actors=self._workers.actors))
        yield from iterate(self._build_dataset(blocks, self._workers))

    def _plan_workers(self) -> WorkerPlan:
        """Connect to Ray, and plan how the job uses its CPUs, GPUs and memory."""
        options, memory = self._job.options, self._job.memory
        local_demands = list(memory.demands(find_local_device(options.device)))
        starts_ray = self._connection.enter_context(
            connect(object_store=local_object_store(local_demands))
        )
        can_grow = not starts_ray
        workers = plan_workers(
            options.device, options.actors, options.gpus_per_actor, can_grow=can_grow
        )
        demands = list(memory.demands(workers.device))
        return limit_to_memory(workers, options.actors, demands, can_grow=can_grow)

    def _build_dataset(self, blocks: list[pa.Table], workers: WorkerPlan) -> "Dataset":
        """Build the graph: work items -> decode tasks -> scoring actors -> results."""
        import ray.data
        from ray.data import ActorPoolStrategy, TaskPoolStrategy

        with streaming_context():
            return (
                # `from_arrow` would run a task per block for its metadata, and wait for all of
                # them before it asks for an actor: on a cluster that starts from zero, a GPU
                # node would be requested only after a CPU node is up.
                ray.data.from_blocks(blocks)
                .map_batches(
                    self._job.stages.decode,
                    batch_size=1,
                    batch_format="pyarrow",
                    fn_kwargs=self._job.decode_arguments(workers.demand),
                    compute=TaskPoolStrategy(workers.decoders),
                    max_retries=RETRIES,
                    **workers.decode_resources,
                )
                .map_batches(
                    self._job.stages.actor,
                    batch_size=workers.chunks_per_batch,
                    batch_format="pyarrow",
                    fn_constructor_kwargs=self._job.actor_arguments(
                        workers.device, workers.threads, workers.demand
                    ),
                    # The next chunk is unpacked while one is being scored.
                    compute=ActorPoolStrategy(
                        min_size=min(workers.initial_actors, len(blocks)),
                        max_size=min(workers.actors, len(blocks)),
                        max_concurrent_calls_per_actor=2,
                        max_tasks_in_flight_per_actor=2 * workers.chunks_per_batch,
                    ),
                    max_task_retries=RETRIES,
                    **workers.actor_resources,
                )
            )
