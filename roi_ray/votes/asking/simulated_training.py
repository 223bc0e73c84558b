"""The simulation of votes that are to train a preference model."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import xlogy

from roi_ray.preference.comparisons.examples import Examples, select_trainable, to_examples
from roi_ray.preference.model.recipes import DEFAULT_RECIPE, RECIPES
from roi_ray.preference.training.train import train_in_process
from roi_ray.votes.asking.model_prior import NO_MODEL
from roi_ray.votes.asking.orders import make_order
from roi_ray.votes.asking.simulated_people import People, ask_people, gather_people
from roi_ray.votes.asking.simulation import OrderName, Trace, choose_checkpoints
from roi_ray.votes.options import Goal, VoteOptions
from roi_ray.votes.questions.table import Questions

_HELD_OUT = 1 / 3
_RECIPE = RECIPES[DEFAULT_RECIPE]


@dataclass(frozen=True, eq=False)
class JudgedPeople:
    """People, and what a model sees of their questions.

    Attributes:
        people: the people, with N questions.
        examples: the questions' features; `p_a` is the mean of all answers, `weight` their number.
    """

    people: People
    examples: Examples


def prepare_training(table: pa.Table) -> JudgedPeople:
    """Prepare the simulation; see `simulate`."""
    name = "to simulate"
    every = to_examples(table, _RECIPE.features, name)  # checks them
    rows = select_trainable(table, _RECIPE.features)
    people = gather_people(rows)
    given = [np.array(each) for each in people.p_a]
    labelled = people.questions.table.append_column(
        "p_a", pa.array([float(each.mean()) for each in given])
    )
    assert len(every) == rows.num_rows
    examples = to_examples(labelled, _RECIPE.features, name)
    weight = np.array([float(each.size) for each in given])
    return JudgedPeople(people, replace(examples, weight=weight))


def count_asked(judged: JudgedPeople, seeds: int) -> int:
    """Count the answers that the run of each seed can ask for; see `simulate`."""
    return min(int(judged.examples.weight[_split(judged, seed)].sum()) for seed in range(seeds))


def run_training(
    judged: JudgedPeople, votes: int, at_once: int, task: tuple[OrderName, int]
) -> Trace:
    """Simulate an order with a seed; see `simulate`."""
    name, seed = task
    is_asked = _split(judged, seed)
    people = _take(judged.people, is_asked)
    asked, judge = judged.examples.take(is_asked), judged.examples.take(~is_asked)
    active: Goal | None = "model" if name == "active" else None
    order = make_order(people.questions, VoteOptions(active=active, model=NO_MODEL, seed=seed))
    checkpoints = choose_checkpoints(min(votes, people.answers))
    rows, given, losses = [], [], []
    stream = ask_people(people, order, checkpoints[-1], at_once, np.random.default_rng(seed))
    for row, p_a in stream:
        rows.append(row)
        given.append(p_a)
        if len(rows) in checkpoints:
            voted = replace(
                asked.take(np.array(rows)), p_a=np.array(given), weight=np.ones(len(rows))
            )
            losses.append(_measure_loss(voted, judge))
    unknown = (float("nan"),) * len(losses)
    return Trace(name, checkpoints, tuple(losses), unknown, _measure_loss(asked, judge))


def _split(judged: JudgedPeople, seed: int) -> NDArray[np.bool_]:
    """Mark the questions about two thirds of the references, (N,); the others judge."""
    groups = np.unique(judged.examples.group)
    mixed = np.random.default_rng(seed).permutation(groups)
    return ~np.isin(judged.examples.group, mixed[: max(1, round(_HELD_OUT * groups.size))])


def _measure_loss(voted: Examples, judge: Examples) -> float:
    """Train on votes; return the log-loss in nats per answer about other references."""
    p = np.clip(train_in_process(voted, _RECIPE).predict(judge.a, judge.b), 1e-6, 1 - 1e-6)
    loss = -xlogy(judge.p_a, p) - xlogy(1 - judge.p_a, 1 - p)
    return float(np.average(loss, weights=judge.weight))


def _take(people: People, marks: NDArray[np.bool_]) -> People:
    """Select some of the questions, and the answers to them."""
    questions = people.questions
    taken = Questions(
        questions.table.filter(pa.array(marks)), questions.is_open[marks], questions.allowlist
    )
    return People(taken, tuple(people.p_a[row] for row in np.flatnonzero(marks)))
