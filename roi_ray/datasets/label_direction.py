"""Check that the labels point the right way.

Some data sets name the image that people preferred, others name the image that they judged WORSE.
A set that is read the wrong way round trains a model of what people dislike, and nothing else shows
the mistake: the files load, the training converges. So wherever a data set says something about
which image should win (bit rate, Elo score, distortion level, the original as a candidate), the
importer compares the labels with that hint and refuses a set whose labels contradict it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError

# Labels are refused if all three hold: enough answers, too little agreement, and an agreement so
# far below one half that chance does not explain it (z score of a binomial test).
MIN_ANSWERS = 20
MIN_AGREEMENT = 0.4
MIN_Z = -3.0


@dataclass(frozen=True)
class DirectionCheck:
    """Agreement of the labels with a hint.

    Attributes:
        hint: hint that the labels were compared with, in words.
        rows: number of answers that were compared: neither the answer nor the hint is a tie.
        agreement: share of these answers that agree with the hint; None if `rows` is 0.
    """

    hint: str
    rows: int
    agreement: float | None

    def __str__(self) -> str:
        if self.agreement is None:
            return f"nothing to check against {self.hint}"
        return f"{self.agreement:.1%} of {self.rows} answers agree with {self.hint}"


def check_label_direction(
    dataset: str,
    hint: str,
    p_a: ArrayLike,
    advantage: ArrayLike,
    *,
    refuse: bool = True,
) -> DirectionCheck:
    """Compare labels with a hint at which image should win.

    Args:
        dataset: name of the data set, for the message.
        hint: the hint in words, such as "bit rate".
        p_a: share of people who prefer `a`, per row.
        advantage: hint per row: positive where `a` should win, negative where `b` should, zero or
            NaN where it is unknown.
        refuse: whether to raise if the labels contradict the hint. Use False for a weak hint.

    Raises:
        ManifestError: fewer labels agree with the hint than chance explains.
    """
    winners, expected = _signs(np.asarray(p_a, dtype=float) - 0.5), _signs(advantage)
    comparable = (winners != 0) & (expected != 0)
    rows = int(comparable.sum())
    if rows == 0:
        return DirectionCheck(hint, 0, None)
    agreeing = int((winners[comparable] == expected[comparable]).sum())
    check = DirectionCheck(hint, rows, agreeing / rows)
    z = (agreeing - rows / 2) / math.sqrt(rows / 4)
    if refuse and rows >= MIN_ANSWERS and agreeing / rows < MIN_AGREEMENT and z < MIN_Z:
        raise ManifestError(
            f"{dataset}: only {check} (z = {z:.1f}): the answers are the wrong way round. "
            "Compare the files with the layout that the importer's docstring describes; "
            "nothing was written"
        )
    return check


def subtract(a: Sequence[float | None], b: Sequence[float | None]) -> NDArray[np.float64]:
    """Return a - b per row, NaN where either is None."""
    differences: NDArray[np.float64] = np.array(a, dtype=float) - np.array(b, dtype=float)
    return differences


def check_against_reference(
    dataset: str, hint: str, rows: Sequence[dict[str, Any]]
) -> DirectionCheck:
    """Compare labels with the rule that the reference itself, as a candidate, should win.

    Args:
        dataset: name of the data set, for the message.
        hint: the rule in words.
        rows: comparisons by the schema's column names.

    Raises:
        ManifestError: see `check_label_direction`.
    """
    advantage = [
        (row[schema.A] == row[schema.REFERENCE]) - (row[schema.B] == row[schema.REFERENCE])
        for row in rows
    ]
    return check_label_direction(dataset, hint, [row[schema.P_A] for row in rows], advantage)


def _signs(values: ArrayLike) -> NDArray[np.float64]:
    """Compute the signs of values: -1, 0 or 1; 0 for NaN."""
    signs: NDArray[np.float64] = np.sign(np.nan_to_num(np.asarray(values, dtype=float)))
    return signs
