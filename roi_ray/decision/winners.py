"""The codec that needs the fewest bits by one metric, and whether that is proven."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from roi_ray.decision.mean_curves import MIN_VALID
from roi_ray.decision.pchip import Floats
from roi_ray.decision.resampling import Estimate, Resamples
from roi_ray.decision.savings import Savings


@dataclass(frozen=True)
class Winner:
    """The codec with the lowest mean BD-rate by one metric.

    Attributes:
        metric: the metric.
        ranking: codecs with a valid mean BD-rate, the lowest first; the anchor counts as 0 %.
        unranked: the other codecs, with the reason.
        lead: mean difference of the BD-rates of the first and the second codec over the images
            that are valid for both, in percentage points; negative if the first needs fewer bits.
            None where there is no second, or fewer than `MIN_VALID` of the images are valid for
            both.
        images: number of these images.
    """

    metric: str
    ranking: tuple[str, ...]
    unranked: Mapping[str, str]
    lead: Estimate | None
    images: int

    @property
    def best(self) -> str | None:
        """The first codec of the ranking; None if nothing could be compared with the anchor."""
        return self.ranking[0] if len(self.ranking) > 1 else None

    @property
    def proven(self) -> bool:
        """Whether the interval of the lead over the second codec leaves out 0."""
        return self.lead is not None and self.lead.high is not None and self.lead.high < 0


def find_winner(
    metric: str,
    anchor: str,
    codecs: Sequence[str],
    savings: Savings,
    resamples: Resamples,
) -> Winner:
    """Rank the codecs by their mean BD-rate, and compare the first with the second, image by image.

    Args:
        metric: the metric.
        anchor: the anchor.
        codecs: the other codecs.
        savings: their BD-rates.
        resamples: resamples of the images.
    """
    means = {anchor: 0.0}
    unranked = {}
    for codec in codecs:
        saving = savings[codec, metric]
        if saving.mean is not None:
            means[codec] = saving.mean.value
        else:
            unranked[codec] = saving.reason or ""
    # At equal means the anchor comes first: the other is not better.
    ranking = sorted(means, key=lambda codec: (means[codec], codec != anchor, codec))
    lead, images = None, 0
    if len(ranking) > 1:
        first, second = (_per_image(codec, metric, savings) for codec in ranking[:2])
        difference: Floats = np.asarray(first - second)
        images = int(np.isfinite(difference).sum())
        comparable = max(
            savings[codec, metric].comparable for codec in ranking[:2] if codec != anchor
        )
        if images >= MIN_VALID * comparable:
            lead = resamples.estimate_mean(difference)
    return Winner(metric, tuple(ranking), unranked, lead, images)


def _per_image(codec: str, metric: str, savings: Savings) -> Floats | float:
    """Return the BD-rate of each image; 0 for the anchor."""
    saving = savings.get((codec, metric))
    return 0.0 if saving is None else saving.per_image
