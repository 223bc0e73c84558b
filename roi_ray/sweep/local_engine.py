"""The local engine of a sweep: threads of this process, as encoders do not hold Python's lock."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from queue import SimpleQueue

import pyarrow as pa

from roi_ray.sweep.encode_stage import Stopped
from roi_ray.sweep.engines import EncodeJob
from roi_ray.sweep.external.run import end_commands
from roi_ray.sweep.pieces import find_places, join_neighbours, split_by_codec

_ITEMS_PER_WORKER = 4
"""Originals are encoded as a whole where each worker gets at least as many of them."""

_Piece = tuple[pa.Table, float]
"""Work items, and the CPUs that they use."""


class LocalEncodeEngine:
    """Engine that encodes in threads of this process. Imports no Ray.

    An image that crashes an encoder which is a library ends this process, and so the job. Resource
    labels of codecs are for Ray; here every codec runs on this machine.

    Args:
        job: what to run.
    """

    def __init__(self, job: EncodeJob) -> None:
        self._job = job

    def run(self, items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
        """Encode the cells of work items.

        When the caller ends, by an error or Control-C, external commands are ended, calls of
        libraries are finished, and no further cells begin.

        Args:
            items: see `encode_cells`.
            isolate: whether one cell is encoded at a time.

        Yields:
            tables of `SWEEP_RESULT_ROWS`, in any order.
        """
        workers = 1 if isolate else self._job.workers or os.cpu_count() or 1
        pieces = split_by_codec(items)
        places = find_places(pieces, self._job.codecs)
        if len(items) >= _ITEMS_PER_WORKER * workers:
            parts = join_neighbours(pieces, places)
        else:
            parts = [(pieces.slice(index, 1), place) for index, place in enumerate(places)]
        work = [(part, min(place.cpus, workers)) for part, place in parts]
        yield from _run_in_threads(self._job.encode, work, workers)


def _run_in_threads(
    encode: Callable[[pa.Table, Callable[[], bool]], Iterator[pa.Table]],
    pieces: Sequence[_Piece],
    workers: int,
) -> Iterator[pa.Table]:
    """Encode pieces of work in threads; yield results as they come.

    Args:
        encode: encodes a piece; asks its second argument whether to stop.
        pieces: the work; none uses more CPUs than `workers`.
        workers: number of threads, and of CPUs that they use at a time.
    """
    results = SimpleQueue[pa.Table | BaseException | None]()
    stopped = threading.Event()
    waiting = deque(pieces)
    slots = _Slots(workers)

    def work() -> None:
        try:
            while (taken := slots.take(waiting, stopped.is_set)) is not None:
                piece, share = taken
                try:
                    for table in encode(piece, stopped.is_set):
                        results.put(table)
                        if stopped.is_set():
                            return
                finally:
                    slots.give_back(share)
        except Stopped:
            pass
        except BaseException as error:
            results.put(error)
        finally:
            results.put(None)

    threads = max(1, min(workers, len(pieces)))
    with ThreadPoolExecutor(threads, "encode") as pool:
        workers_done = [pool.submit(work) for _ in range(threads)]
        try:
            running = threads
            while running:
                result = results.get()
                if result is None:
                    running -= 1
                elif isinstance(result, BaseException):
                    raise result
                else:
                    yield result
        finally:
            stopped.set()
            slots.wake()
            # Again and again, because a thread may have been about to start a command.
            while wait(workers_done, timeout=0.1).not_done:
                end_commands()


class _Slots:
    """CPUs that are shared out to pieces of work, in order: a large piece is not overtaken."""

    def __init__(self, cpus: float) -> None:
        self._free = cpus
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    def take(self, waiting: deque[_Piece], is_stopped: Callable[[], bool]) -> _Piece | None:
        """Wait until the next piece has its CPUs, and take both; None if there is nothing to do."""
        with self._turn, self._changed:
            if not waiting:
                return None
            piece, cpus = waiting.popleft()
            self._changed.wait_for(lambda: is_stopped() or self._free >= cpus)
            if is_stopped():
                return None
            self._free -= cpus
            return piece, cpus

    def give_back(self, cpus: float) -> None:
        """Free the CPUs of a piece that is done."""
        with self._changed:
            self._free += cpus
            self._changed.notify_all()

    def wake(self) -> None:
        """Wake all who wait, because the job has been stopped."""
        with self._changed:
            self._changed.notify_all()
