"""The simulation of votes that are to rank names."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray.errors import ManifestError
from roi_ray.preference.ranking.bradley_terry import fit_scores, to_answers
from roi_ray.preference.ranking.components import number_groups_of_names
from roi_ray.preference.ranking.rank import select_rankable
from roi_ray.votes.asking.beliefs import Floats
from roi_ray.votes.asking.expected_tau import compute_tau, expect_tau
from roi_ray.votes.asking.orders import make_order
from roi_ray.votes.asking.ranking_posterior import fit_ranking
from roi_ray.votes.asking.simulated_people import People, ask_people, gather_people
from roi_ray.votes.asking.simulation import OrderName, Trace, choose_checkpoints
from roi_ray.votes.asking.subjects import NAME_COLUMNS
from roi_ray.votes.options import By, Goal, VoteOptions


@dataclass(frozen=True, eq=False)
class RankedPeople:
    """People, and the ranking by all their answers.

    Attributes:
        people: the people, with N questions.
        by: what is ranked.
        truth: scores by all answers, (n,).
        name_a: number of the name of `a` in each question, (N,), 0..n - 1.
        name_b: of `b`, (N,).
    """

    people: People
    by: By
    truth: Floats
    name_a: NDArray[np.intp]
    name_b: NDArray[np.intp]


def prepare_ranking(table: pa.Table, by: By) -> RankedPeople:
    """Prepare the simulation; see `simulate`."""
    rows = select_rankable(table, by)
    if not rows.num_rows:
        raise ManifestError(f"comparisons: no row has an answer, two different {by}s and no error")
    answers = to_answers(rows, NAME_COLUMNS[by], "p_a")
    wins = answers.count_wins()
    if len(answers.names) < 3 or number_groups_of_names(wins).any():
        raise ManifestError(
            f"comparisons: a simulation takes three {by}s or more, and answers that link them all"
        )
    people = gather_people(rows)
    numbers = {name: number for number, name in enumerate(answers.names)}
    name_a, name_b = (
        np.array([numbers[name] for name in people.questions.table[column].to_pylist()], np.intp)
        for column in NAME_COLUMNS[by]
    )
    return RankedPeople(people, by, fit_scores(wins), name_a, name_b)


def run_ranking(
    ranking: RankedPeople, votes: int, at_once: int, task: tuple[OrderName, int]
) -> Trace:
    """Simulate an order with a seed; see `simulate`."""
    name, seed = task
    active: Goal | None = "ranking" if name == "active" else None
    options = VoteOptions(active=active, by=ranking.by, seed=seed)
    people = ranking.people
    order = make_order(people.questions, options)
    checkpoints = choose_checkpoints(min(votes, people.answers))
    n = len(ranking.truth)
    wins = np.zeros((n, n))
    taus: list[float] = []
    expected: list[float] = []
    stream = ask_people(people, order, checkpoints[-1], at_once, np.random.default_rng(seed))
    for number, (row, p_a) in enumerate(stream, 1):
        a, b = ranking.name_a[row], ranking.name_b[row]
        wins[a, b] += p_a
        wins[b, a] += 1 - p_a
        if number in checkpoints:
            scores = fit_scores(wins)
            belief = fit_ranking(wins)
            taus.append(compute_tau(scores, ranking.truth))
            expected.append(np.nan if belief is None else expect_tau(scores, belief))
    return Trace(name, checkpoints, tuple(taus), tuple(expected), 1.0)
