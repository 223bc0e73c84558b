"""BD-rates of the codecs of a sweep against an anchor, over all images, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

from roi_ray.decision.bd_rate import Flag
from roi_ray.decision.sweep_scores import Floats


@dataclass(frozen=True)
class Estimate:
    """A number of a sample of images.

    Attributes:
        value: the number.
        low: lower end of its 95 % bootstrap interval over images; None where there are too few
            images for an interval.
        high: upper end.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Saving:
    """The BD-rates of one codec against the anchor by one metric, in percent; lower is better.

    Attributes:
        codec: the codec.
        metric: column of the scores.
        per_image: BD-rate of each image, (images,); NaN where it is not valid.
        flags: number of images without a valid BD-rate, by reason. Images that lack one of the two
            codecs are counted as `Flag.FEW_POINTS`.
        mean: mean over the images with a valid BD-rate; None where too few are valid (see
            `MIN_VALID`).
        median: median over them, likewise.
        curve: BD-rate of the mean curves: bit rates and quality averaged at each point, over the
            images that have all points of both codecs; None where it is not valid.
        curve_flag: why `curve` is not valid, in words; None if it is.
        reason: why `mean` and `median` are None, in words; None if they are numbers.
    """

    codec: str
    metric: str
    per_image: Floats
    flags: Mapping[Flag, int]
    mean: Estimate | None
    median: Estimate | None
    curve: Estimate | None
    curve_flag: str | None
    reason: str | None

    @property
    def valid(self) -> int:
        """Number of images with a valid BD-rate."""
        return len(self.per_image) - sum(self.flags.values())
