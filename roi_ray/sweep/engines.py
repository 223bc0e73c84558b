"""The engines of a sweep: threads of this process, or tasks of Ray Data on a cluster."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from queue import SimpleQueue

import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.plan import PAIR_IDS, ROWS
from roi_ray.sweep.codec import Codec
from roi_ray.sweep.codec_run import EncodeOptions
from roi_ray.sweep.encode_stage import ITEM_COLUMNS, Stopped, encode_cells

_LISTS = (ROWS, PAIR_IDS, *ITEM_COLUMNS)
_ITEMS_PER_WORKER = 4
"""Originals are encoded as a whole where each worker gets at least as many of them."""


@dataclass(frozen=True)
class EncodeJob:
    """A job of encoding, as every engine runs it.

    Attributes:
        base: URI of the folder that relative URIs of originals are relative to.
        allowlist: folders that originals may be in.
        codecs: the codecs by label.
        output: URI of the folder that encoded files are relative to.
        options: options of the encode stage.
        workers: largest number of CPUs that encode at a time; None for all.
    """

    base: str
    allowlist: Allowlist
    codecs: Mapping[str, Codec]
    output: str
    options: EncodeOptions
    workers: int | None = None

    def encode(
        self, items: pa.Table, is_stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[pa.Table]:
        """Encode the cells of work items; see `encode_cells`."""
        return encode_cells(
            items, self.base, self.allowlist, self.codecs, self.output, self.options, is_stopped
        )


class LocalEncodeEngine:
    """Engine that encodes in threads of this process. Imports no Ray.

    An image that crashes an encoder which is a library ends this process, and so the job.

    Args:
        job: what to run.
    """

    def __init__(self, job: EncodeJob) -> None:
        self._job = job

    def run(self, items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
        """Encode the cells of work items.

        When the caller ends, by an error or Control-C, cells that are being encoded are finished,
        and no further ones begin.

        Args:
            items: see `encode_cells`.
            isolate: whether one cell is encoded at a time.

        Yields:
            tables of `SWEEP_RESULT_ROWS`, in any order.
        """
        workers = 1 if isolate else self._job.workers or os.cpu_count() or 1
        pieces = split_by_codec(items)
        if len(items) >= _ITEMS_PER_WORKER * workers:
            pieces = _join_pieces(pieces, self._job.codecs)
        cpus = [min(_find_cpus(piece, self._job.codecs), workers) for piece in pieces]
        yield from _run_in_threads(self._job.encode, pieces, cpus, workers)


def split_by_codec(items: pa.Table) -> list[pa.Table]:
    """Split work items so that each has the cells of one codec.

    All cells of an original and a codec stay together, so that searches for several targets share
    what they encode. Items of one original stay neighbours, so that it is decoded once per block.

    Args:
        items: see `encode_cells`.

    Returns:
        tables of one row each.
    """
    pieces = []
    for index in range(len(items)):
        item = items.slice(index, 1)
        codecs = item[schema.CODEC].combine_chunks().flatten()
        for label in codecs.unique():
            pieces.append(_select_cells(item, pc.equal(codecs, label)))
    return pieces


def _select_cells(item: pa.Table, mask: pa.BooleanArray) -> pa.Table:
    """Select cells of a table with one item."""
    for name in _LISTS:
        cells = item[name].combine_chunks().flatten().filter(mask)
        lists = pa.ListArray.from_arrays(pa.array([0, len(cells)], pa.int32()), cells)
        item = item.set_column(item.schema.get_field_index(name), name, lists)
    return item


def _join_pieces(pieces: Sequence[pa.Table], codecs: Mapping[str, Codec]) -> list[pa.Table]:
    """Join neighbours that are of one original and use as many CPUs."""

    def key(piece: pa.Table) -> tuple[object, ...]:
        return piece[schema.REFERENCE][0].as_py(), _find_cpus(piece, codecs)

    return [pa.concat_tables(group) for _, group in groupby(pieces, key)]


def _find_cpus(piece: pa.Table, codecs: Mapping[str, Codec]) -> float:
    """Return the CPUs that the codec of a piece uses."""
    codec = codecs.get(piece[schema.CODEC][0][0].as_py())
    return 1 if codec is None else codec.cpus


def _run_in_threads(
    encode: Callable[[pa.Table, Callable[[], bool]], Iterator[pa.Table]],
    pieces: Sequence[pa.Table],
    cpus: Sequence[float],
    workers: int,
) -> Iterator[pa.Table]:
    """Encode pieces of work in threads; yield results as they come.

    Args:
        encode: encodes a piece; asks its second argument whether to stop.
        pieces: work items.
        cpus: CPUs that each piece uses, at most `workers`.
        workers: number of threads, and of CPUs that they use at a time.
    """
    results = SimpleQueue[pa.Table | BaseException | None]()
    stopped = threading.Event()
    waiting = deque(zip(pieces, cpus, strict=True))
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
        try:
            for _ in range(threads):
                pool.submit(work)
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


class _Slots:
    """CPUs that are shared out to pieces of work, in order: a large piece is not overtaken."""

    def __init__(self, cpus: float) -> None:
        self._free = cpus
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    def take(
        self, waiting: deque[tuple[pa.Table, float]], is_stopped: Callable[[], bool]
    ) -> tuple[pa.Table, float] | None:
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
