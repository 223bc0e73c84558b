"""Cells of two codecs at nearly equal bit rate, and which of them metrics and a model prefer."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from roi_ray import schema
from roi_ray.decision.pchip import Floats
from roi_ray.decision.preferences.equal_rate import find_near_pairs
from roi_ray.decision.preferences.model_features import read_features, read_values
from roi_ray.decision.score_table import SweepScores
from roi_ray.preference.model.preference_model import PreferenceModel

Ints = NDArray[np.int64]

_IMAGES_FOR_UNITS = 100


@dataclass(frozen=True)
class NearCells:
    """N pairs of cells of two codecs, of one image each and at nearly equal bit rate.

    Attributes:
        codecs: the two codecs.
        image: number of the image, (N,).
        rows: row numbers in the scores, (N, 2).
        rates: bit rates in bits per pixel, (N, 2).
        values: metrics of the cells, (N, 2, M).
        share: predicted share of people who prefer the first codec, (N,); NaN without a model.
        leads: how much the first cell is better, by metric and, last, by the model, (N, M + 1);
            negative where the second is. See `find_near_cells` for the unit.
    """

    codecs: tuple[str, str]
    image: Ints
    rows: Ints
    rates: Floats
    values: Floats
    share: Floats
    leads: Floats


def find_near_cells(
    scores: SweepScores,
    codecs: Sequence[str],
    metrics: Sequence[str],
    model: PreferenceModel | None,
    images: Ints,
) -> Iterator[NearCells]:
    """Find the cells at nearly equal bit rate, pair of codecs by pair.

    The lead of a cell in a metric is its difference, in median absolute deviations of the metric
    over all cells of the image; in a model's opinion it is the difference in logits. Both are then
    divided by their median, so that a lead of 3 is three times that of two usual cells.

    Args:
        scores: scores of a sweep.
        codecs: codecs to compare.
        metrics: M metrics.
        model: preference model that fits the scores; None without one.
        images: numbers of the images to look at.
    """
    finder = _Finder(scores, codecs, metrics, model, images)
    few = np.arange(len(images))[:: max(1, len(images) // _IMAGES_FOR_UNITS)]
    sample = [np.abs(cells.leads) for cells in finder.compare_all(few)]
    leads = np.concatenate([*sample, np.full((1, len(metrics) + 1), np.nan)])
    leads[leads == 0] = np.nan
    units = np.array([np.nanmedian(x) if np.isfinite(x).any() else np.nan for x in leads.T])
    for cells in finder.compare_all(np.arange(len(images))):
        np.divide(cells.leads, units, out=cells.leads)
        yield cells


class _Finder:
    """The numbers that pairs of cells are compared by, read once."""

    def __init__(
        self,
        scores: SweepScores,
        codecs: Sequence[str],
        metrics: Sequence[str],
        model: PreferenceModel | None,
        images: Ints,
    ) -> None:
        self._codecs, self._model, self._images = codecs, model, images
        self._rows = {codec: scores.codecs[codec].rows[images] for codec in codecs}
        self._rates = {codec: scores.bit_rates(codec)[images] for codec in codecs}
        self._values = read_values(scores, codecs, metrics, images)
        self._features = read_features(scores, codecs, model.features, images) if model else {}
        sign = [1.0 if schema.MEANINGS[name].better == "higher" else -1.0 for name in metrics]
        spread = _measure_spread(np.concatenate([*self._values.values()], 1))
        self._scale: Floats = np.array(sign) / spread

    def compare_all(self, images: Ints) -> Iterator[NearCells]:
        """Compare all pairs of codecs on some images, by their place in `images`."""
        for pair in combinations(self._codecs, 2):
            yield self._compare(pair, images)

    def _compare(self, pair: tuple[str, str], images: Ints) -> NearCells:
        near = find_near_pairs(*(self._rates[codec][images] for codec in pair))
        image = images[near.image]
        cells = tuple(zip(pair, (near.a, near.b), strict=True))
        rows = np.stack([self._rows[codec][image, point] for codec, point in cells], 1)
        rates = np.stack([self._rates[codec][image, point] for codec, point in cells], 1)
        values = np.stack([self._values[codec][image, point] for codec, point in cells], 1)
        share = np.full(len(image), np.nan)
        if self._model:
            share = self._model.predict(*(self._features[codec][image, p] for codec, p in cells))
        lead: Floats = (values[:, 0] - values[:, 1]) * self._scale[image]
        leads = np.concatenate([lead, special.logit(share)[:, None]], 1)
        return NearCells(pair, self._images[image], rows, rates, values, share, leads)


def _measure_spread(values: Floats) -> Floats:
    """Measure how much M metrics differ between the cells of an image.

    It is the median absolute deviation, which one broken cell does not change, so that the
    difference of this cell from others is not hidden by itself.

    Args:
        values: metrics, (images, cells, M), NaN where there is no number.

    Returns:
        spread, (images, M); NaN where it is zero or no cell has a number.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        middle = np.nanmedian(values, 1, keepdims=True)
        spread: Floats = np.nanmedian(np.abs(values - middle), 1)
    spread[spread == 0] = np.nan
    return spread
