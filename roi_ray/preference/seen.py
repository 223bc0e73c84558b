"""Which answers a model was trained on: a sample of them, small enough to travel with it.

Each answer has a hash, and those with the smallest ones are the sample. Of other comparisons, those
whose hashes are as small should be in it, as far as they were trained on; however they are ordered,
and whatever files they came in.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from roi_ray.preference.examples import Examples

SAMPLE = "sample"
_SIZE = 256
_DECIMALS = 3


def sample(examples: Examples) -> list[str]:
    """The smallest hashes of answers, sorted; at most 256."""
    return sorted(set(_hashes(examples)))[:_SIZE]


def share_trained_on(examples: Examples, provenance: Mapping[str, Any]) -> float:
    """How many of these answers a model was trained on, about: 0..1; 0 if that cannot be told.

    Of a model of very many answers, a few are too few to be told by.

    Args:
        examples: with the model's features.
        provenance: of the model.
    """
    seen = set((provenance.get("comparisons") or {}).get(SAMPLE, ()))
    # An answer was seen as it is written here, or turned round.
    return min(1.0, sum(_share(_hashes(each), seen) for each in (examples, examples.swapped())))


def _share(hashes: list[str], seen: set[str]) -> float:
    if len(seen) == _SIZE:  # else it is all that there were
        largest = max(seen)
        hashes = [each for each in hashes if each <= largest]
    return sum(each in seen for each in hashes) / len(hashes) if hashes else 0.0


def _hashes(examples: Examples) -> list[str]:
    # Rounded, as the last digits of features depend on the machine.
    rows = np.column_stack([examples.a, examples.b, examples.p_a]).round(_DECIMALS) + 0.0
    return [hashlib.sha256(row.tobytes()).hexdigest()[:16] for row in rows]
