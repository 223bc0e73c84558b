"""Which codec people would prefer at equal bit rate, as a preference model predicts it.

For each image and pair of codecs, features are interpolated at the bit rates `equal_rate.RATES`
(see there for how far this can be trusted), or taken from real cells where the sweep was made for
equal bit rates (`--match bpp=`). The model gives the share of people who prefer the first codec;
`roi_ray.preference.ranking.rank` turns the shares into win rates and Bradley-Terry scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.decision.preferences.equal_rate import MIN_POINTS, RATES
from roi_ray.decision.preferences.model_features import find_images_without_region
from roi_ray.decision.preferences.model_notes import describe_mismatch, describe_model
from roi_ray.decision.preferences.predictions import Images, Pair, Predictions, predict_pairs
from roi_ray.decision.resampling import Estimate
from roi_ray.decision.score_table import SweepScores
from roi_ray.preference.comparisons.features import explain_missing
from roi_ray.preference.comparisons.regions import is_basic
from roi_ray.preference.model.preference_model import PreferenceModel, load_preference_model
from roi_ray.preference.ranking.rank import (
    RESAMPLES,
    Band,
    Rank,
    WinRates,
    compute_win_rates,
    rank,
    rank_within_bands,
)
from roi_ray.preference.statistics.intervals import count_effective_answers, interval_of_share
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL

MAX_COMPARISONS = 1_000_000
"""Images are sampled where all of them would make more predictions than this."""


@dataclass(frozen=True)
class Preference:
    """Predicted preferences between codecs at equal bit rate.

    Attributes:
        missing: why there is no prediction, in one sentence; None if there is one. All that
            follows is then empty.
        notes: what these predictions are and what they cannot say; every view must show them.
        ranks: Bradley-Terry scores over all bit rates, the best first.
        bands: the same within bands of bit rate.
        win_rates: predicted share of people who prefer each codec to each other.
        shares: the same by pair of codecs, with 95 % intervals over images. Pairs that have no bit
            rate in common are not in it.
        images: number of images that were compared.
        model: the model; None where there is no prediction.
    """

    missing: str | None
    notes: tuple[str, ...] = ()
    ranks: tuple[Rank, ...] = ()
    bands: tuple[Band, ...] = ()
    win_rates: WinRates | None = None
    shares: Mapping[Pair, Estimate] = field(default_factory=dict)
    images: int = 0
    model: PreferenceModel | None = None


def predict_preferences(
    scores: SweepScores,
    codecs: Sequence[str] | None = None,
    model: PreferenceModel | str | None = DEFAULT_PREFERENCE_MODEL,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    max_comparisons: int = MAX_COMPARISONS,
) -> Preference:
    """Predict which codec people prefer at equal bit rate.

    Args:
        scores: scores of a sweep.
        codecs: codecs to compare; None for all.
        model: name of the packaged model, path or `s3://` URI of a model that `roi-ray train`
            wrote, or the model; None or `none` for no prediction.
        resamples: number of resamples for the intervals of Bradley-Terry scores.
        seed: seed of the resamples and of the sample of images.
        max_comparisons: images are sampled where all of them would make more predictions.

    Raises:
        WeightsError: the model cannot be loaded.
    """
    if model is None or model == "none":
        return Preference("No preference model was asked for.")
    loaded = load_preference_model(model) if isinstance(model, str) else model
    chosen = sorted(scores.codecs if codecs is None else codecs)
    if reason := _find_reason(scores, chosen, loaded):
        return Preference(reason)
    images = _sample_images(len(scores.images), len(chosen), max_comparisons, seed)
    predictions = predict_pairs(scores, chosen, loaded, images)
    if not predictions:
        return Preference("No two codecs have a bit rate in common on any image.")
    table = _to_table(predictions)
    notes = describe_model(loaded, scores)
    notes += _describe_extent(scores, chosen, predictions, images)
    return Preference(
        missing=None,
        notes=tuple(notes),
        ranks=tuple(rank(table, "codec", "p_a_preferred", resamples=resamples, seed=seed)),
        bands=tuple(rank_within_bands(table, "codec", "p_a_preferred", resamples=resamples)),
        win_rates=compute_win_rates(table, "codec", "p_a_preferred"),
        shares=dict(_estimate_shares(predictions)),
        images=len(_list_images(predictions)),
        model=loaded,
    )


def _find_reason(scores: SweepScores, codecs: Sequence[str], model: PreferenceModel) -> str | None:
    """Say why there can be no prediction; None if there can."""
    if len(codecs) < 2:
        return "There is one codec only, so nothing can be preferred to it."
    missing = [name for name in model.features if name not in scores.metrics]
    # Where no image has a region of interest, there is no number under the mask.
    region = not find_images_without_region(scores).all()
    if missing := [name for name in missing if region or is_basic(name)]:
        return f"The preference model needs {explain_missing(missing)}."
    return describe_mismatch(model, scores.run)


def _sample_images(images: int, codecs: int, limit: int, seed: int) -> Images:
    """Choose the numbers of the images to compare, in rising order."""
    per_image = len(RATES) * codecs * (codecs - 1) // 2
    count = max(1, limit // per_image)
    if images <= count:
        return np.arange(images)
    return np.sort(np.random.default_rng(seed).choice(images, count, replace=False))


def _to_table(predictions: Sequence[Predictions]) -> pa.Table:
    """Build the comparisons that `roi_ray.preference.ranking.rank` takes."""
    codecs = [np.repeat(np.array([p.codecs], object), len(p.image), 0) for p in predictions]
    names = np.concatenate(codecs)
    image = np.concatenate([p.image for p in predictions])
    bpp = np.concatenate([p.bpp for p in predictions])
    columns = {
        # Names of images are not needed: rows of one image only must have the same group.
        schema.GROUP: pa.array(image).cast(pa.string()),
        schema.CODEC_A: pa.array(names[:, 0], pa.string()),
        schema.CODEC_B: pa.array(names[:, 1], pa.string()),
        schema.BPP_A: bpp,
        schema.BPP_B: bpp,
        schema.P_A_PREFERRED: np.concatenate([p.share for p in predictions]),
    }
    return pa.table(columns)


def _estimate_shares(predictions: Sequence[Predictions]) -> list[tuple[Pair, Estimate]]:
    """Estimate the share of people who prefer the first codec of each pair, and the second."""
    estimates: list[tuple[Pair, Estimate]] = []
    for p in predictions:
        image = np.unique(p.image, return_inverse=True)[1]
        weights = np.ones(len(image)), p.share
        counts, sums = (np.bincount(image, weight).astype(np.float64) for weight in weights)
        share, low, high = float(sums.sum() / counts.sum()), np.nan, np.nan
        if len(counts) > 1:
            effective = count_effective_answers(sums, counts, counts)
            low, high = interval_of_share(share, effective, len(counts))
        ends = (None, None) if np.isnan(low) else (low, high)
        other = (None, None) if np.isnan(low) else (1 - high, 1 - low)
        estimates.append((p.codecs, Estimate(share, *ends)))
        estimates.append((p.codecs[::-1], Estimate(1 - share, *other)))
    return estimates


def _list_images(predictions: Sequence[Predictions]) -> Images:
    return np.unique(np.concatenate([p.image for p in predictions]))


def _describe_extent(
    scores: SweepScores,
    codecs: Sequence[str],
    predictions: Sequence[Predictions],
    images: Images,
) -> list[str]:
    """Say what was compared, and what was left out."""
    compared = _list_images(predictions)
    rates = np.concatenate([p.bpp for p in predictions])
    notes = [
        f"Codecs are compared at equal bit rates of {rates.min():.2g} to {rates.max():.2g} bits "
        "per pixel, on the images where both have that bit rate."
    ]
    if any(p.apart is None for p in predictions):
        notes.append(
            "Between the points of a codec, numbers are interpolated; on photographs, that changed "
            "a predicted share by 2 of 100 people on average."
        )
    if real := [p.apart for p in predictions if p.apart is not None]:
        notes.append(
            "Where codecs were encoded for the same bit rate, these cells are compared; their bit "
            f"rates differ by {max(real):.1%} at most.".replace("%", " %")
        )
    if len(images) < len(scores.images):
        notes.append(f"{len(images):,} of {len(scores.images):,} images, drawn at random.")
    if lacking := int(find_images_without_region(scores)[compared].sum()):
        notes.append(
            f"{lacking} of {len(compared)} images have no region of interest: the metrics of the "
            "whole image take the place of those under the mask."
        )
    met = {name for p in predictions for name in p.codecs}
    if alone := [codec for codec in codecs if codec not in met]:
        notes.append(
            f"Without a prediction: {', '.join(alone)}. A codec needs {MIN_POINTS} points, and "
            "bit rates in common with another."
        )
    return notes
