"""Comparisons of two named methods, and what can be predicted by the methods' names alone."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import special

from roi_ray import schema
from roi_ray.preference.comparisons.examples import Examples, Floats
from roi_ray.preference.evaluation.validation import Predictor, predict_out_of_fold
from roi_ray.preference.ranking.bradley_terry import Answers, fit_scores, to_answers
from roi_ray.preference.ranking.components import number_groups_of_names

METHOD_COLUMNS = (schema.METHOD_A, schema.METHOD_B)
CODEC_COLUMNS = (schema.CODEC_A, schema.CODEC_B)


@dataclass(frozen=True)
class NamedAnswers:
    """Comparisons of two different names, and people's answers to them.

    Attributes:
        rows: numbers of these comparisons in the table, (M,).
        people: the answers.
    """

    rows: np.ndarray[tuple[int], np.dtype[np.intp]]
    people: Answers

    def answered_by(self, predicted: Floats) -> Answers:
        """Replace people's answers by predictions for all comparisons of the table, (N,)."""
        return replace(self.people, share=predicted[self.rows])

    def are_linked(self) -> bool:
        """Whether comparisons link all names, so that they have one scale."""
        wins = self.people.count_wins()
        return bool((number_groups_of_names(wins) == 0).all())


def select_named(table: pa.Table, columns: tuple[str, str]) -> NamedAnswers | None:
    """Select the comparisons of two different names; None where there are none.

    Args:
        table: labelled comparisons.
        columns: columns of the two names.
    """
    if not set(columns) <= set(table.column_names):
        return None
    a, b = (table[column].cast(pa.string()) for column in columns)
    different = pc.fill_null(pc.not_equal(a, b), fill_value=False).to_numpy()
    rows = np.flatnonzero(different)
    if not rows.size:
        return None
    return NamedAnswers(rows, to_answers(table.take(pa.array(rows)), columns, schema.P_A))


def predict_by_method(named: NamedAnswers, examples: Examples, folds: int, repeats: int) -> Floats:
    """Predict held-out references by how good each method is on all others, by its name alone.

    A Bradley-Terry model of the methods is fitted to each training fold. This is what a model can
    reach that knows the encoder and its setting, and nothing of the image.

    Args:
        named: the comparisons of two different methods.
        examples: all comparisons.
        folds: see `predict_out_of_fold`.
        repeats: see `predict_out_of_fold`.

    Returns:
        P(people prefer a), (repeats, N); 0.5 where a method is unknown or both are the same.
    """
    a, b = np.zeros((2, len(examples), 1))
    a[named.rows, 0], b[named.rows, 0] = named.people.a, named.people.b
    numbered = Examples(("method",), a, b, examples.p_a, examples.weight, examples.group)
    names = len(named.people.names)

    def learn(seen: Examples, _: int) -> Predictor:
        scores = fit_scores(_count_wins(seen, names))
        return lambda others: np.asarray(special.expit(np.subtract(*_scores(others, scores))))

    return predict_out_of_fold(numbered, learn, folds, repeats)


def _count_wins(examples: Examples, names: int) -> Floats:
    wins = np.zeros((names, names))
    a, b = _numbers(examples)
    np.add.at(wins, (a, b), examples.weight * examples.p_a)
    np.add.at(wins, (b, a), examples.weight * (1 - examples.p_a))
    np.fill_diagonal(wins, 0)  # comparisons without two different names
    return wins


def _scores(examples: Examples, scores: Floats) -> tuple[Floats, Floats]:
    a, b = _numbers(examples)
    return scores[a], scores[b]


def _numbers(examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    return examples.a[:, 0].astype(int), examples.b[:, 0].astype(int)
