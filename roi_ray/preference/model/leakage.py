"""Estimate the share of answers that a model was trained on: its accuracy on them is worthless.

Every answer has a hash, and a model carries the smallest hashes of its training answers. An answer
with a hash in their range was trained on if, and only if, the model carries its hash. The file and
the order of its rows do not matter.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from roi_ray.preference.comparisons.examples import Examples, Floats

SAMPLE = "sample"
"""Key of the hashes, below `comparisons` in a model's provenance."""
_SIZE = 256
_DIGITS = 3
"""Significant digits of the numbers in a hash: the last ones depend on the machine."""


def sample_hashes(examples: Examples) -> list[str]:
    """Select the smallest hashes of answers, sorted; at most 256."""
    return sorted(set(_hash_answers(examples)))[:_SIZE]


def share_trained_on(examples: Examples, provenance: Mapping[str, Any]) -> float:
    """Estimate the share of these answers that a model was trained on, 0..1.

    The estimate is rough where the answers are few and the model's training answers many; it is 0
    where the model carries no hashes.

    Args:
        examples: answers, with the model's features.
        provenance: provenance of the model.
    """
    trained = set((provenance.get("comparisons") or {}).get(SAMPLE, ()))
    # A training answer may be written with its candidates swapped.
    orders = (examples, examples.swapped())
    return min(1.0, sum(_share(_hash_answers(each), trained) for each in orders))


def _share(hashes: list[str], trained: set[str]) -> float:
    if len(trained) == _SIZE:  # a sample; with fewer hashes, it is all training answers
        largest = max(trained)
        hashes = [each for each in hashes if each <= largest]
    return sum(each in trained for each in hashes) / len(hashes) if hashes else 0.0


def _hash_answers(examples: Examples) -> list[str]:
    rows = _round(np.column_stack([examples.a, examples.b, examples.p_a])) + 0.0
    return [hashlib.sha256(row.tobytes()).hexdigest()[:16] for row in rows]


def _round(values: Floats) -> Floats:
    """Round to significant digits."""
    with np.errstate(divide="ignore"):
        exponents = np.floor(np.log10(np.abs(values)))
    unit = 10.0 ** (np.where(values == 0, 0, exponents) - _DIGITS + 1)
    rounded: Floats = np.round(values / unit) * unit
    return rounded
