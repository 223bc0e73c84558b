"""The settings that decide the numbers: names of the networks and options of the metrics.

Imports nothing heavy, so that commands can show their options at once.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from roi_ray.errors import UsageError
from roi_ray.schema import OPTIONAL_METRICS

LpipsName = Literal["alex", "vgg", "squeeze", "st-alex", "st-vgg"]
Weighting = Literal["mean", "normalised"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]

DEFAULT_LPIPS: LpipsName = "alex"
"""Its backbone is packaged; the card is in `roi_ray/weights/`."""
DEFAULT_SALIENCY = "saliency-lite0"
"""The packaged saliency network; its model card is in `roi_ray/weights/`."""
DEFAULT_DISCRIMINATOR = "discriminator-patch70-light"
"""The packaged discriminator; its model card is in `roi_ray/weights/`."""
DEFAULT_PREFERENCE_MODEL = "preference-mucped23"
"""The packaged preference model; its model card is in `roi_ray/weights/`."""

PSNR_CAP = 100.0
"""PSNR of identical images, in dB. Tools disagree on it (60, 99, infinite, ...)."""

EMPTY_MEAN = 1e-6
"""Below this mean of the mask there is no region of interest, and no number for it."""

MAX_PIXELS = 1 << 26
"""Largest image that is decoded by default: 67 megapixels; once decoded, 200 MB, or 400 MB of more
than 8 bits per sample."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides the numbers of a pair; recorded with the scores.

    Attributes:
        lpips: LPIPS network, one of `LpipsName`.
        saliency: name of the packaged saliency network, or the path or URI of a U2-Net or U2-Net-p
            checkpoint.
        discriminator: name of the packaged discriminator, or the path or URI of a PatchGAN
            checkpoint.
        roi_weighting: `mean` for the paper's mean(L R), `normalised` for sum(L R) / sum(R), where L
            is the map of a metric and R the mask.
        precision: floating-point type of the networks; metrics are computed from their outputs in
            fp32 or better. `auto` is the fastest one within 2e-3 of fp32's numbers, fp16 on a GPU
            and fp32 on a CPU; scores are recorded with the precision that it stood for.
        metrics: names of metrics to measure besides the default ones, from
            `roi_ray.schema.OPTIONAL_METRICS`; their order does not matter.

    Raises:
        UsageError: the LPIPS network, the weighting, the precision or a metric is unknown, or the
            metrics are one string.

    Examples:
        >>> Settings(roi_weighting="normalised").lpips
        'alex'
    """

    lpips: LpipsName = DEFAULT_LPIPS
    saliency: str = DEFAULT_SALIENCY
    discriminator: str = DEFAULT_DISCRIMINATOR
    roi_weighting: Weighting = "mean"
    precision: Precision = "fp32"
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, choices in (
            ("lpips", LpipsName),
            ("roi_weighting", Weighting),
            ("precision", Precision),
        ):
            if (value := getattr(self, name)) not in get_args(choices):
                raise UsageError(
                    f"{name} {value!r} is not known; give one of {', '.join(get_args(choices))}"
                )
        if isinstance(self.metrics, str):
            raise UsageError(
                f"metrics is {self.metrics!r}; give a tuple of names: ({self.metrics!r},)"
            )
        if unknown := [name for name in self.metrics if name not in OPTIONAL_METRICS]:
            raise UsageError(
                f"no optional metric is called {unknown[0]!r}; give some of "
                f"{', '.join(OPTIONAL_METRICS)}"
            )
        # Two runs with the same metrics are the same run, in whatever order they were named.
        object.__setattr__(self, "metrics", tuple(sorted(set(self.metrics))))
