"""Two worker processes, one per source tree, that work in turns: one works, the other waits."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

from roi_ray.bench.compare import worker as script
from roi_ray.bench.compare.source import Source
from roi_ray.errors import RoiRayError

_TURN_SECONDS = 0.08
"""Shortest turn of the slower tree: shorter pieces are called several times."""
_MAX_CALLS = 50
_SHOWN_CHARACTERS = 500


@dataclass(frozen=True)
class WorkerOptions:
    """Options of both workers.

    Attributes:
        reference: file of the reference.
        distorted: files of the distorted images.
        metrics: names of functions of `roi_ray.metrics`.
        threads: CPU threads; None for all.
        device: `cpu` or `cuda`.
        precision: precision of the networks.
    """

    reference: Path
    distorted: tuple[Path, ...]
    metrics: tuple[str, ...]
    threads: int | None
    device: str
    precision: str


@dataclass(frozen=True)
class PieceTimes:
    """Seconds of one piece of work in both trees, and the numbers that they computed.

    Attributes:
        old: median seconds of a call, of each turn.
        new: likewise; the turn of the same position took place next to it.
        numbers: columns of numbers of the old tree, and of the new one.
        error: what one of the trees failed with; None if both work.
    """

    old: tuple[float, ...]
    new: tuple[float, ...]
    numbers: tuple[Mapping[str, Sequence[float | None]], Mapping[str, Sequence[float | None]]]
    error: str | None = None


class Worker:
    """A process that runs pieces of work of one source tree.

    Attributes:
        tree: what it says about its tree; see `worker`.
    """

    def __init__(self, source: Source, options: WorkerOptions) -> None:
        self._source = source
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed by __exit__
        self._process = subprocess.Popen(
            # Without -P, modules beside the script would hide those of other packages.
            [sys.executable, "-P", script.__file__],
            env={**os.environ, "PYTHONPATH": str(source.folder)},
            cwd=tempfile.gettempdir(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._options = options
        self.tree: dict[str, Any] = {}

    def __enter__(self) -> "Worker":
        # Loading is slow, so it is not awaited here: both workers load at the same time.
        self._send({**vars(self._options)})
        return self

    def wait_until_loaded(self) -> None:
        """Wait until the networks and the images are loaded.

        Raises:
            RoiRayError: the worker failed, or imported another tree.
        """
        self.tree = self._receive()
        package = Path(self.tree["package"]).resolve()
        if package.parent != self._source.folder.resolve():
            raise RoiRayError(f"{self._source.name}: Python imported {package} instead")

    def call(self, piece: str, calls: int) -> dict[str, Any]:
        """Run a piece of work; returns `seconds` of each call and `numbers`, or `error`."""
        self._send({"piece": piece, "calls": calls})
        return self._receive()

    def _send(self, values: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(values, default=str) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._raise_failure()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            self._raise_failure()
        values: dict[str, Any] = json.loads(line)
        return values

    def _raise_failure(self) -> None:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines() or ["it printed nothing"]
        last = lines[-1][:_SHOWN_CHARACTERS]
        raise RoiRayError(f"the process of {self._source.name} ended with code {code}: {last}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def measure_in_turns(
    sources: tuple[Source, Source],
    options: WorkerOptions,
    rounds: int,
    choose: Callable[[str], bool] = lambda _: True,
) -> tuple[dict[str, PieceTimes], tuple[dict[str, Any], dict[str, Any]]]:
    """Measure all pieces that both trees have.

    A round is old, new, new, old of each piece, so that a steady drift cancels out. The
    first round is a warm-up, which also decides how many calls a turn makes.

    Args:
        sources: the old tree, and the new one.
        options: options of both workers.
        rounds: number of measured rounds.
        choose: says which pieces to measure, by name.

    Returns:
        the times by piece, and what both workers say about their trees.

    Raises:
        RoiRayError: a worker failed.
    """
    with ExitStack() as stack:
        old, new = (stack.enter_context(Worker(source, options)) for source in sources)
        old.wait_until_loaded()
        new.wait_until_loaded()
        names = [name for name in new.tree["pieces"] if name in old.tree["pieces"] and choose(name)]
        warm = {name: (old.call(name, 2), new.call(name, 2)) for name in names}
        seconds: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in names}
        working = [name for name in names if not any("error" in side for side in warm[name])]
        for _ in range(rounds):
            for name in working:
                calls = _count_calls(warm[name])
                for side, worker in ((0, old), (1, new), (1, new), (0, old)):
                    seconds[name][side].append(_measure_turn(worker, name, calls))
        times = {name: _make_times(seconds[name], warm[name]) for name in names}
        return times, (old.tree, new.tree)


def _measure_turn(worker: Worker, piece: str, calls: int) -> float:
    """Return the median seconds of a call."""
    answer = worker.call(piece, calls)
    if "error" in answer:
        raise RoiRayError(f"{piece}: {answer['error']}")
    return float(median(answer["seconds"]))


def _count_calls(warm: Sequence[Mapping[str, Any]]) -> int:
    """Return the calls of a turn: one, or as many as a turn needs and one that is not measured."""
    longest = max(min(side["seconds"]) for side in warm)
    calls = min(_MAX_CALLS, ceil(_TURN_SECONDS / max(longest, 1e-6)))
    return calls + 1 if calls > 1 else 1


def _make_times(
    seconds: tuple[Sequence[float], Sequence[float]], warm: Sequence[Mapping[str, Any]]
) -> PieceTimes:
    errors = [side["error"] for side in warm if "error" in side]
    numbers = (warm[0].get("numbers", {}), warm[1].get("numbers", {}))
    return PieceTimes(tuple(seconds[0]), tuple(seconds[1]), numbers, errors[0] if errors else None)
