"""The decision between the codecs of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from roi_ray import schema
from roi_ray.decision.all_savings import compute_all_savings
from roi_ray.decision.choices import choose_anchor, choose_codecs, choose_metrics
from roi_ray.decision.groups import group_images
from roi_ray.decision.notes import describe_scores
from roi_ray.decision.preferences.predict import Preference, predict_preferences
from roi_ray.decision.quality_control import QualityControl, check_quality
from roi_ray.decision.resampling import RESAMPLES, Resamples
from roi_ray.decision.savings import Savings
from roi_ray.decision.score_table import SweepScores
from roi_ray.decision.sweep_scores import read_sweep_scores
from roi_ray.decision.times import Times, measure_times
from roi_ray.decision.verdict import word_verdict
from roi_ray.decision.winners import Winner, find_winner
from roi_ray.preference.model.preference_model import PreferenceModel
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL


@dataclass(frozen=True)
class Decision:
    """Which codec of a sweep wins, by how much, where, and whether that can be believed.

    Attributes:
        scores: the scores that it is about.
        anchor: codec that the others are compared with.
        metrics: metrics that were compared, the deciding one first.
        savings: BD-rates over all images.
        bands: the same within bands of the anchor's bit rate: lower and upper end in bits per
            pixel. Bands in which no image has a valid BD-rate are left out.
        groups: the same within groups of images: column, value.
        preference: which codec people would prefer at equal bit rate, as a model predicts it; or
            why there is no prediction.
        winners: the codec with the lowest mean BD-rate by each metric, the deciding one first.
        verdict: the result in sentences, with what speaks against it.
        notes: what is missing in the scores, in sentences.
    """

    scores: SweepScores
    anchor: str
    metrics: tuple[str, ...]
    savings: Savings
    bands: Mapping[tuple[float, float], Savings]
    groups: Mapping[tuple[str, str], Savings]
    preference: Preference
    winners: Mapping[str, Winner]
    verdict: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def codecs(self) -> tuple[str, ...]:
        """The codecs that were compared, the anchor first."""
        return (self.anchor, *dict.fromkeys(codec for codec, _ in self.savings))

    @cached_property
    def times(self) -> Times:
        """How long the codecs take, and which of them none beats in time and BD-rate."""
        return measure_times(self.scores, self.anchor, self.metrics, self.savings, self.codecs)

    @cached_property
    def quality_control(self) -> QualityControl:
        """What failed, is missing or does not fit in the scores, and where they come from."""
        return check_quality(self.scores)


def decide(
    scores: SweepScores | str,
    *,
    anchor: str | None = None,
    metrics: Sequence[str] | None = None,
    group_by: Sequence[str] = (),
    codecs: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    model: PreferenceModel | str | None = DEFAULT_PREFERENCE_MODEL,
) -> Decision:
    """Compare the codecs of a sweep.

    Args:
        scores: the scores, or their URI.
        anchor: codec that the others are compared with; by default `jpeg`, or without one the codec
            with the most points.
        metrics: metrics to compare by, the deciding one first; by default those of
            `choices.DEFAULT_METRICS`, as far as they were measured.
        group_by: columns that group images by their content.
        codecs: codecs to compare; by default all. The anchor is always one of them.
        resamples: number of resamples of the images for the intervals; 0 for no intervals.
        seed: seed of the resamples, and of the images that preferences are predicted for if there
            are many.
        model: preference model, see `predict_preferences`; None or `none` for no prediction.

    Raises:
        UsageError: a codec, a metric or a column does not exist.
        ManifestError: the scores cannot be compared.
        StorageError: the scores cannot be read.
        WeightsError: the preference model cannot be loaded.

    Examples:
        >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile
        >>> points = [(q, image, codec) for q in (30, 50, 70, 90) for image in range(6)
        ...           for codec in ("jpeg", "webp")]
        >>> table = pa.table({
        ...     "reference": [f"{image}.png" for _, image, _ in points],
        ...     "codec": [codec for *_, codec in points],
        ...     "quality": [q for q, *_ in points],
        ...     "bpp": [(0.7 if codec == "webp" else 1) * 2 ** (q / 30) for q, _, codec in points],
        ...     "ms_ssim": [0.9 + q / 1000 + image / 1000 for q, image, _ in points],
        ... })
        >>> file = tempfile.mkdtemp() + "/scores.parquet"
        >>> pq.write_table(table, file)
        >>> decision = decide(file, model=None)
        >>> decision.winners["ms_ssim"].ranking
        ('webp', 'jpeg')
        >>> print(decision.verdict[0])
        webp needs 30.0 % fewer bits than jpeg for the same ms_ssim (95 % interval 30.0 to 30.0 %,
        6 images).
    """
    if isinstance(scores, str):
        scores = read_sweep_scores(scores)
    anchor = choose_anchor(scores, anchor)
    metrics = choose_metrics(scores, metrics)
    names = choose_codecs(scores, anchor, codecs)
    scores.load((schema.BPP, *metrics))
    draws = Resamples(len(scores.images), resamples, seed)
    groups = {
        group: (images, Resamples(len(images), resamples, seed))
        for group, images in group_images(scores, group_by).items()
    }
    found = compute_all_savings(scores, anchor, names, metrics, draws, groups)
    winners = {
        metric: find_winner(metric, anchor, names, found.savings, draws) for metric in metrics
    }
    return Decision(
        scores=scores,
        anchor=anchor,
        metrics=metrics,
        savings=found.savings,
        bands=found.bands,
        groups=found.groups,
        preference=predict_preferences(scores, [anchor, *names], model, seed=seed),
        winners=winners,
        verdict=word_verdict(anchor, metrics, names, found.savings, winners, found.bands),
        notes=describe_scores(scores),
    )
