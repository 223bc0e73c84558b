"""Questions that several people answered: how often people agree, and what most of them said."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.io import storage
from roi_ray.preference.comparisons.examples import Examples, Floats
from roi_ray.preference.statistics import measures

_TIE = 1e-9


@dataclass(frozen=True)
class Questions:
    """The questions that N comparisons ask, whichever candidate comes first.

    Two comparisons ask the same question if they show the same images, and the same crop of them.

    Attributes:
        number: number of each comparison's question, (N,), from 0.
        swapped: whether the candidate whose URI sorts first is `b`, (N,).
    """

    number: NDArray[np.int64]
    swapped: NDArray[np.bool_]

    def turn(self, p_a: Floats) -> Floats:
        """Turn shares who prefer `a`, (..., N), into those who prefer the URI that sorts first."""
        return np.where(self.swapped, 1 - p_a, p_a)

    def are_repeated(self) -> NDArray[np.bool_]:
        """Mark the comparisons whose question is asked by another comparison too, (N,)."""
        repeated: NDArray[np.bool_] = np.bincount(self.number)[self.number] > 1
        return repeated


@dataclass(frozen=True)
class HumanCeiling:
    """Rate at which people agree with each other, from questions that were asked more than once.

    Attributes:
        questions: number of these questions.
        agreement: probability that two answers to the same question are the same, 0..1; a mean over
            answers, as accuracies are.
        implied_accuracy: accuracy of someone who always knows the majority, if all questions were
            equally hard: q with q^2 + (1 - q)^2 = agreement.
    """

    questions: int
    agreement: float
    implied_accuracy: float


@dataclass(frozen=True)
class Majorities:
    """What most people said, where several answered the same question.

    Attributes:
        row: first comparison that asks each of Q questions with a majority, (Q,).
        prefers_first: whether most people prefer the candidate whose URI sorts first, (Q,).
        ties: number of questions with several answers of which half go either way; they have no
            majority and are not counted.
    """

    row: NDArray[np.int64]
    prefers_first: NDArray[np.bool_]
    ties: int


def number_questions(table: pa.Table) -> Questions:
    """Number the questions that comparisons ask."""
    numbers: dict[tuple[object, ...], int] = {}
    crop_columns = [name for name in schema.CROP if name in table.column_names]
    uris = (map(storage.normalize, table[name].to_pylist()) for name in schema.COMPARISON_URIS)
    crops = (table[name].to_pylist() for name in crop_columns)
    number, swapped = [], []
    for reference, a, b, *crop in zip(*uris, *crops, strict=True):
        question = (reference, *sorted((a, b)), *crop)
        number.append(numbers.setdefault(question, len(numbers)))
        swapped.append(a > b)
    return Questions(np.array(number, np.int64), np.array(swapped, np.bool_))


def human_ceiling(questions: NDArray[np.int64], p_a: Floats) -> HumanCeiling | None:
    """Compute how often people agree with each other, from repeated questions.

    Args:
        questions: number of each comparison's question (reference and two images), (N,).
        p_a: answers, (N,), such that `a` is the same image in all answers to a question; each
            answer counts once, whatever its votes.

    Returns:
        the ceiling; None where no question was asked more than once.
    """
    asked = np.bincount(questions)
    repeated = asked > 1
    if not repeated.any():
        return None
    # Two answers p and q agree with the chance p q + (1 - p) (1 - q), summed here over all ordered
    # pairs. A question with n answers has n (n - 1) pairs and counts n times, so that questions
    # that were asked more often, the hard ones, count more.
    agreeing = np.zeros(len(asked))
    for side in (p_a, 1 - p_a):
        agreeing += np.bincount(questions, side) ** 2 - np.bincount(questions, side**2)
    n = asked[repeated]
    share = float((agreeing[repeated] / (n - 1)).sum() / n.sum())
    return HumanCeiling(int(repeated.sum()), share, (1 + max(2 * share - 1, 0) ** 0.5) / 2)


def find_majorities(questions: Questions, examples: Examples) -> Majorities | None:
    """Find what most people said; None where no question has several answers with a majority.

    A comparison counts as its number of votes: one with three votes is a question with three
    answers.
    """
    answers = np.bincount(questions.number, examples.weight)
    lead = np.bincount(questions.number, examples.weight * (questions.turn(examples.p_a) - 0.5))
    several = answers > 1 + _TIE
    decided = several & (np.abs(lead) > _TIE)
    if not decided.any():
        return None
    first = np.unique(questions.number, return_index=True)[1]
    ties = int(several.sum() - decided.sum())
    return Majorities(first[decided], lead[decided] > 0, ties)


def majority_accuracy(
    predicted: Floats, majorities: Majorities, questions: Questions, examples: Examples
) -> measures.Interval:
    """Compute the share of questions of which the prediction names the majority.

    Each question counts once; an undecided prediction counts half.

    Args:
        predicted: predicted P(people prefer a), (repeats, N).
        majorities: from `find_majorities`.
        questions: the questions of the comparisons.
        examples: the comparisons.

    Returns:
        the share, 0..1, mean over repeats, with its interval over references.
    """
    said = questions.turn(predicted)[:, majorities.row]
    right = measures.agreement(said, majorities.prefers_first.astype(float)).mean(0)
    asked = replace(examples.take(majorities.row), weight=np.ones(len(right)))
    return measures.mean_over_references(right, asked)
