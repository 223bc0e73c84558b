"""What the sources of questions have in common."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema

QUESTION_COLUMNS = (
    *schema.COMPARISON_URIS,
    schema.GROUP,
    schema.SPLIT,
    schema.DATASET,
    schema.CODEC_A,
    schema.CODEC_B,
    schema.METHOD_A,
    schema.METHOD_B,
    schema.BPP_A,
    schema.BPP_B,
    schema.SCORED_WITH,
    *schema.PAIR_FRACTIONS,
    *schema.pair_columns(schema.QUALITY_COLUMNS),
)
"""Columns of comparisons that are true of a pair whoever is asked, and that questions keep.

Others may be about an earlier answer, or name a person.
"""

_ERROR_COLUMNS = ("mse", "mse_y", "mse_cb", "mse_cr")


@dataclass(frozen=True)
class Collected:
    """Questions that a source has.

    Attributes:
        table: see `Questions.table`.
        name: URI of the source.
        base: URI of the folder that the images are expected in.
        left_out: how many pairs or images are not asked about, by reason.
        largest: pixels of the largest image, where the source knows it; else 0.
    """

    table: pa.Table
    name: str
    base: str
    left_out: Counter[str]
    largest: int = 0


def telling_columns(measured: Sequence[str]) -> list[str]:
    """Choose the quality columns that tell images with different pixels apart.

    Args:
        measured: the quality columns of scores.

    Returns:
        the mean squared errors: two images that have all four in common have the same pixels, but
        for a rare coincidence. Without these, all columns; none if they are too few to tell.
    """
    if set(_ERROR_COLUMNS) <= set(measured):
        return list(_ERROR_COLUMNS)
    return list(measured) if len(measured) >= len(_ERROR_COLUMNS) else []


def add_answers(table: pa.Table, keys: Sequence[str], expected: NDArray[np.float64]) -> pa.Table:
    """Add the columns `question`, `gold` and `expected_p_a` to pairs.

    Args:
        table: N pairs.
        keys: the key of each, see `make_key`.
        expected: right answer of each, 0..1, NaN if it is not known, (N,).
    """
    known = np.isfinite(expected)
    table = table.append_column(schema.QUESTION, pa.array(keys, pa.string()))
    table = table.append_column(schema.GOLD, pa.array(known, pa.bool_()))
    return table.append_column(schema.EXPECTED_P_A, pa.array(expected, pa.float64(), mask=~known))
