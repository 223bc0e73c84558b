"""Standardisation of features, fitted to training comparisons and saved with the model."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from roi_ray import schema
from roi_ray.preference.comparisons.examples import Examples, Floats
from roi_ray.preference.model.recipes import Recipe
from roi_ray.settings import PSNR_CAP

_MIN_POSITIVE = 10 ** (-PSNR_CAP / 10)
"""Smaller numbers count as this one, so that they have a logarithm."""
_CONSTANT = 1e-6
"""Features vary that have a spread above this part of their largest value."""


@dataclass(frozen=True)
class Scale:
    """The standardisation of F features.

    Attributes:
        centre: mean to subtract from the features, (F,).
        spread: divisor of the features, (F,); negative where lower is better, so that higher is
            always better afterwards; 1 or -1 for a feature that is the same in all comparisons.
        logarithms: whether logarithms are taken first, see `Recipe`.
    """

    centre: Floats
    spread: Floats
    logarithms: bool

    @classmethod
    def fit(cls, examples: Examples, recipe: Recipe) -> "Scale":
        """Fit the standardisation to training comparisons.

        The spread is the standard deviation of the features (`mlp`), or the root mean square of
        the differences between the two sides (`utility`).
        """
        a, b = (
            _take_logarithms(side, examples.features, recipe.logarithms)
            for side in (examples.a, examples.b)
        )
        both = np.concatenate([a, b])
        # Not a standard deviation: which candidate is called `a` must not matter.
        rms_difference = np.sqrt(np.square(a - b).mean(0))
        spread = rms_difference if recipe.network == "utility" else both.std(0)
        varies = spread > _CONSTANT * np.abs(both).max(0)
        better = [schema.MEANINGS[feature].better for feature in examples.features]
        sign = np.where([direction == "lower" for direction in better], -1.0, 1.0)
        return cls(both.mean(0), sign * np.where(varies, spread, 1.0), recipe.logarithms)

    def __call__(self, values: Floats, features: tuple[str, ...]) -> Tensor:
        """Standardise features, (N, F); returns float64, (N, F)."""
        values = _take_logarithms(values, features, self.logarithms)
        return torch.from_numpy((values - self.centre) / self.spread)


def _take_logarithms(values: Floats, features: tuple[str, ...], logarithms: bool) -> Floats:
    """Take natural logarithms if asked for, of features that compare by their ratio."""
    if not logarithms:
        return values
    ratios = np.array([schema.MEANINGS[name].compare_by == "ratio" for name in features])
    return np.where(ratios, np.log(np.maximum(values, _MIN_POSITIVE)), values)
