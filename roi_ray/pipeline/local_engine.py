"""The local engine of scoring: a loop in this process; a few threads decode ahead of it."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import cached_property, partial
from itertools import islice

import pyarrow as pa

from roi_ray.pipeline.job import Job
from roi_ray.runtime.available import read_available_memory
from roi_ray.runtime.cluster import Device, chunks_per_batch
from roi_ray.runtime.device import find_device
from roi_ray.runtime.fit import Demand, fit_process

_MAX_DECODERS = 4


class LocalEngine:
    """Engine that scores work items in this process, on one device. Imports no Ray.

    An image that crashes its decoder ends this process, and so the job.

    Args:
        job: what to run.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    def run(self, items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
        """Decode and score work items, in order; see `Engine.run`.

        Args:
            items: from `make_work_items`.
            isolate: whether nothing is decoded while an item is scored.

        Yields:
            tables of results.

        Raises:
            DeviceError: no GPU is available.
        """
        demand, decoders = self._plan
        decode = partial(self._job.stages.decode, **self._job.decode_arguments(demand))
        blocks = (items.slice(index, 1) for index in range(len(items)))
        with closing(_decode_ahead(decode, blocks, 0 if isolate else decoders)) as chunks:
            batch_size = chunks_per_batch(self._device)
            while batch := list(islice(chunks, batch_size)):
                yield self._actor(pa.concat_tables(batch))

    @cached_property
    def _device(self) -> Device:
        return "cuda" if find_device(self._job.options.device).type == "cuda" else "cpu"

    @cached_property
    def _plan(self) -> tuple[Demand | None, int]:
        """What is planned for the images, and how many threads decode."""
        return fit_process(
            read_available_memory(),
            list(self._job.memory.demands(self._device)),
            min(_MAX_DECODERS, os.cpu_count() or 1),
        )

    @cached_property
    def _actor(self) -> Callable[[pa.Table], pa.Table]:
        arguments = self._job.actor_arguments(self._device, threads=None, demand=self._plan[0])
        return self._job.stages.actor(**arguments)


def _decode_ahead(
    decode: Callable[[pa.Table], Iterator[pa.Table]], blocks: Iterable[pa.Table], decoders: int
) -> Generator[pa.Table, None, None]:
    """Yield the chunks of some blocks at a time; one chunk of each is decoded ahead.

    Args:
        decode: the decode stage.
        blocks: work items.
        decoders: number of threads; 0 to decode each chunk when it is asked for.
    """
    waiting = iter(blocks)
    if decoders == 0:
        for block in waiting:
            yield from decode(block)
        return
    streams = deque[tuple[Iterator[pa.Table], Future[pa.Table | None]]]()
    with ThreadPoolExecutor(decoders) as threads:

        def start_next(stream: Iterator[pa.Table]) -> None:
            streams.append((stream, threads.submit(next, stream, None)))

        for block in islice(waiting, decoders):
            start_next(decode(block))
        while streams:
            stream, future = streams.popleft()
            if (chunk := future.result()) is not None:
                start_next(stream)
                yield chunk
            elif (block := next(waiting, None)) is not None:
                start_next(decode(block))
