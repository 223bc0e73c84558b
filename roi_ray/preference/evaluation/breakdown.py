"""Parts of the comparisons that an evaluation reports separately."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.preference.comparisons.examples import Examples

Mask = NDArray[np.bool_]

REPEATED_QUESTIONS = "questions asked again"
"""Name of the part with the questions that people answered more than once."""

_BPP_EDGES = (0.25, 0.5, 1.0, 2.0)
_CLOSENESS_FEATURE = "ms_ssim"
_CLOSENESS = ("closest third", "middle third", "farthest third")


def split_into_parts(table: pa.Table, examples: Examples) -> dict[str, Mask]:
    """Divide comparisons by bit rate, by pair of codecs, and by closeness of the candidates.

    Args:
        table: comparisons; without columns of bit rates or codecs, those parts are left out.
        examples: the same comparisons as arrays; without the feature `ms_ssim`, there are no parts
            by closeness.

    Returns:
        masks of the comparisons, (N,), by name of the part; parts that are empty are left out.
    """
    parts = {**_by_bit_rate(table), **_by_codecs(table), **_by_closeness(examples)}
    return {name: mask for name, mask in parts.items() if mask.any()}


def _by_bit_rate(table: pa.Table) -> dict[str, Mask]:
    if not {schema.BPP_A, schema.BPP_B} <= set(table.column_names):
        return {}
    rates = (table[schema.BPP_A].to_numpy() + table[schema.BPP_B].to_numpy()) / 2
    return {
        f"{low:g}..{high:g} bpp": (rates >= low) & (rates < high)
        for low, high in pairwise((0.0, *_BPP_EDGES, np.inf))
    }


def _by_codecs(table: pa.Table) -> dict[str, Mask]:
    if not {schema.CODEC_A, schema.CODEC_B} <= set(table.column_names):
        return {}
    codecs = (table[name].to_pylist() for name in (schema.CODEC_A, schema.CODEC_B))
    pairs = np.array(
        [" / ".join(sorted((a or "?", b or "?"))) for a, b in zip(*codecs, strict=True)]
    )
    return {pair: pairs == pair for pair in np.unique(pairs).tolist()}


def _by_closeness(examples: Examples) -> dict[str, Mask]:
    if _CLOSENESS_FEATURE not in examples.features:
        return {}
    ssim = examples.only([_CLOSENESS_FEATURE])
    distance = np.abs(ssim.a - ssim.b)[:, 0]
    third = np.searchsorted(np.quantile(distance, [1 / 3, 2 / 3]), distance)
    return {
        f"{name} by {_CLOSENESS_FEATURE}": third == number for number, name in enumerate(_CLOSENESS)
    }
