"""Would asking actively have spared votes? Recorded answers are asked for again, in two orders.

For a ranking, the truth is the ranking by all answers, and the measure is the Kendall's tau of the
ranking by the votes so far with it. For a preference model, references are split anew for each
seed; votes are about two thirds of them, and the measure is the log-loss, on all answers about the
others, of a model that `roi-ray train` would make of the votes. An active order begins without a
model there, because it might have been trained on these answers.

The truth is made of the same answers, so that either order ends at it once all are used: numbers
of votes that are a large part of all answers are too low. They compare the two orders, which have
the same advantage; they do not say how many votes a new study needs.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray.errors import ManifestError
from roi_ray.io.json_values import replace_non_finite
from roi_ray.votes.asking.simulated_people import People
from roi_ray.votes.options import By, Goal

MOST_VOTES = 4000
_FIRST, _GROWTH = 20, 1.08
"""The first number of votes that is measured, and the factor to the next one."""
_TAUS = (0.9, 0.95)
_LOSSES = (0.01, 0.005)

OrderName = Literal["random", "active"]
ORDERS: tuple[OrderName, ...] = ("random", "active")


@dataclass(frozen=True)
class Level:
    """How many votes a measure takes to reach a level, and not to leave it again.

    Attributes:
        level: Kendall's tau, or log-loss in nats.
        votes: the number of votes from which on the mean over the seeds is as good; None if it is
            not reached.
    """

    level: float
    votes: int | None


@dataclass(frozen=True)
class Curve:
    """What was known after how many votes, in one order.

    Attributes:
        order: the order of the questions.
        votes: numbers of votes, (P,), rising.
        mean: mean of the measure over the seeds, (P,).
        spread: its standard deviation over the seeds, (P,).
        expected: for a ranking, mean over the seeds of the expected tau (see `expected_tau`),
            (P,); None of a model.
        levels: numbers of votes that reach some levels.
    """

    order: OrderName
    votes: tuple[int, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    expected: tuple[float | None, ...]
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Simulation:
    """What asking recorded answers again, in two orders, showed.

    Attributes:
        goal: what votes were to teach about.
        measure: what the curves show: `Kendall's tau`, higher is better, or `log-loss`, in nats,
            lower is better.
        seeds: number of runs of each order.
        questions: number of distinct questions.
        answers: number of recorded answers.
        references: number of references.
        at_once: questions that raters had before them at any time.
        with_all: the measure with all answers: 1 for a ranking.
        curves: a curve for each order.
    """

    goal: Goal
    measure: str
    seeds: int
    questions: int
    answers: int
    references: int
    at_once: int
    with_all: float
    curves: tuple[Curve, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        values = replace_non_finite(asdict(self))
        assert isinstance(values, dict)
        return values


@dataclass(frozen=True)
class Trace:
    """One run: measure and expected tau at each number of votes; NaN where it is unknown."""

    order: OrderName
    votes: tuple[int, ...]
    measured: tuple[float, ...]
    expected: tuple[float, ...]
    with_all: float


Run = Callable[[tuple[OrderName, int]], Trace]
"""Simulates an order with a seed."""


def simulate(
    table: pa.Table,
    goal: Goal = "ranking",
    *,
    by: By = "method",
    seeds: int = 10,
    votes: int = MOST_VOTES,
    at_once: int = 10,
    processes: int = 1,
) -> Simulation:
    """Ask people who answered before again, in random order and actively.

    Args:
        table: answered comparisons, checked by `read_comparisons`: with names for a ranking, with
            features for a model.
        goal: what votes are to teach about.
        by: what is ranked.
        seeds: number of runs of each order.
        votes: the most votes of a run; fewer if there are not so many answers.
        at_once: questions that raters have before them at any time.
        processes: processes that share the runs.

    Raises:
        ManifestError: the comparisons lack answers, names or features, or do not link all names.
    """
    people, run = _prepare(table, goal, by, seeds, votes, at_once)
    tasks = [(order, seed) for order in ORDERS for seed in range(seeds)]
    if processes > 1:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            traces = list(pool.map(run, tasks))
    else:
        traces = list(map(run, tasks))
    with_all = float(np.mean([trace.with_all for trace in traces]))
    return Simulation(
        goal=goal,
        measure="Kendall's tau" if goal == "ranking" else "log-loss",
        seeds=seeds,
        questions=len(people.questions),
        answers=people.answers,
        references=len(set(people.questions.table["group"].to_pylist())),
        at_once=at_once,
        with_all=with_all,
        curves=tuple(
            _summarize([trace for trace in traces if trace.order == order], goal, with_all)
            for order in ORDERS
        ),
    )


def choose_checkpoints(votes: int) -> tuple[int, ...]:
    """Choose the numbers of votes that are measured, each 8 % above the last one.

    Examples:
        >>> choose_checkpoints(30)
        (20, 22, 24, 26, 28, 30)
    """
    numbers = [min(_FIRST, votes)]
    while numbers[-1] < votes:
        numbers.append(min(votes, max(numbers[-1] + 1, round(numbers[-1] * _GROWTH))))
    return tuple(numbers)


def _prepare(
    table: pa.Table, goal: Goal, by: By, seeds: int, votes: int, at_once: int
) -> tuple[People, Run]:
    if goal == "ranking":
        from roi_ray.votes.asking.simulated_ranking import prepare_ranking, run_ranking

        ranking = prepare_ranking(table, by)
        people = ranking.people
        run: Run = partial(run_ranking, ranking, votes, at_once)
    else:
        from roi_ray.votes.asking.simulated_training import (
            count_asked,
            prepare_training,
            run_training,
        )

        training = prepare_training(table)
        people = training.people
        # The same numbers of votes for all seeds, though they are about different references.
        votes = min(votes, count_asked(training, seeds))
        run = partial(run_training, training, votes, at_once)
    if people.answers < _FIRST:
        raise ManifestError(
            f"comparisons: {people.answers} answers can be used; a simulation takes {_FIRST}"
        )
    return people, run


def _summarize(traces: list[Trace], goal: Goal, with_all: float) -> Curve:
    votes = traces[0].votes
    measured = np.array([trace.measured for trace in traces])
    expected = np.array([trace.expected for trace in traces])
    mean = measured.mean(0)
    if goal == "ranking":
        levels = [(level, mean >= level) for level in _TAUS]
    else:
        levels = [(with_all + loss, mean <= with_all + loss) for loss in _LOSSES]
    return Curve(
        order=traces[0].order,
        votes=votes,
        mean=tuple(mean.tolist()),
        spread=tuple(measured.std(0, ddof=min(1, len(traces) - 1)).tolist()),
        expected=tuple(None if np.isnan(x) else float(x) for x in expected.mean(0)),
        levels=tuple(Level(level, _find_reached(votes, good)) for level, good in levels),
    )


def _find_reached(votes: tuple[int, ...], good: NDArray[np.bool_]) -> int | None:
    """Find the number of votes from which on all are good."""
    bad = np.flatnonzero(~good)
    start = bad[-1] + 1 if bad.size else 0
    return votes[start] if start < len(votes) else None
