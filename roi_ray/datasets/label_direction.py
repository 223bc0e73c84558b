"""Are the answers the right way round?

Some data sets name the image that people preferred, others the one that they thought worse, and a
set that is read the wrong way round trains a model of what people dislike, with no other sign of
it. So wherever a set offers a hint of its own at which image should win (bit rate, Elo score,
distortion level, the original as one of the candidates), the answers are held against it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roi_ray.errors import ManifestError

MIN_ROWS = 20
MIN_AGREEMENT = 0.4
MIN_Z = -3.0
"""Refused is what has this many rows, agrees less than this, and is this far below one half."""


@dataclass(frozen=True)
class DirectionCheck:
    """How far the answers agree with a hint.

    Attributes:
        indicator: the hint.
        rows: answers that it says something about: no ties.
        agreement: share of those that agree; None if there are none.
    """

    indicator: str
    rows: int
    agreement: float | None

    def __str__(self) -> str:
        if self.agreement is None:
            return f"nothing to check against {self.indicator}"
        return f"{self.agreement:.1%} of {self.rows} answers agree with {self.indicator}"


def check_label_direction(
    dataset: str,
    indicator: str,
    p_a: ArrayLike,
    advantage: ArrayLike,
    *,
    refuse: bool = True,
) -> DirectionCheck:
    """Hold answers against a hint.

    Args:
        dataset: its name, for the error.
        indicator: the hint, in words.
        p_a: per row; the share of people who prefer a.
        advantage: per row; positive where a should win, negative where b should, zero or NaN where
            the hint says nothing.
        refuse: raise if the answers contradict the hint. Not if the hint is a weak one.

    Raises:
        ManifestError: far fewer agree than chance would let.
    """
    answers, hints = _signs(np.asarray(p_a, dtype=float) - 0.5), _signs(advantage)
    told = (answers != 0) & (hints != 0)
    rows = int(told.sum())
    if rows == 0:
        return DirectionCheck(indicator, 0, None)
    agreeing = int((answers[told] == hints[told]).sum())
    polarity = DirectionCheck(indicator, rows, agreeing / rows)
    z = (agreeing - rows / 2) / math.sqrt(rows / 4)
    if refuse and rows >= MIN_ROWS and agreeing / rows < MIN_AGREEMENT and z < MIN_Z:
        raise ManifestError(
            f"{dataset}: only {polarity} (z = {z:.1f}): the answers are the wrong way round. "
            "Compare the files with the layout that the importer's docstring describes; "
            "nothing was written"
        )
    return polarity


def difference(a: Sequence[float | None], b: Sequence[float | None]) -> NDArray[np.float64]:
    """By how much a exceeds b, per row; NaN where either is unknown."""
    by: NDArray[np.float64] = np.array(a, dtype=float) - np.array(b, dtype=float)
    return by


def _signs(values: ArrayLike) -> NDArray[np.float64]:
    signs: NDArray[np.float64] = np.sign(np.nan_to_num(np.asarray(values, dtype=float)))
    return signs
