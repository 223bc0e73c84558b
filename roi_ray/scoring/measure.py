"""Compute all metrics of a batch of pairs."""

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from roi_ray.metrics.images import ImagePair
from roi_ray.metrics.metric import Metric, RunningMeans
from roi_ray.metrics.strips import ImageStrips
from roi_ray.models.networks import Networks
from roi_ray.runtime.device import Download
from roi_ray.schema import Scores
from roi_ray.scoring.network_metrics import DiscriminatorLoss, LpipsMetric
from roi_ray.scoring.prepared import ReferenceBatch
from roi_ray.settings import EMPTY_MEAN

_DEFAULT = ("mse", "colour", "ms_ssim", "texture")


def load_metrics(networks: Networks, optional: Iterable[str]) -> list[Metric]:
    """Load the default metrics, and optional ones.

    Args:
        networks: LPIPS and the discriminator.
        optional: names from `schema.OPTIONAL_METRICS`: modules of `roi_ray.metrics` with a
            `METRIC`.
    """
    pure: list[Metric] = [
        importlib.import_module(f"roi_ray.metrics.{name}").METRIC for name in (*_DEFAULT, *optional)
    ]
    return [*pure, LpipsMetric(networks.lpips), DiscriminatorLoss(networks.discriminator)]


def measure(
    references: ReferenceBatch, distorted: Sequence[ImageStrips], metrics: Sequence[Metric]
) -> list[dict[str, Tensor]]:
    """Compute all numbers of distorted images, each against its reference.

    Large images are read strip by strip. What the metrics need of a strip of a reference is then
    computed once for all batches, and let go.

    Args:
        references: one reference for all images, or one per image of each batch.
        distorted: batches of N distorted images, split as the references are.
        metrics: the metrics.

    Returns:
        for each batch, one tensor (N,), float64, per field of `Scores` that is computed here. Those
        of the region of interest have no meaning where the mask has none.
    """
    batches = [
        (iter(images), [RunningMeans(metric, images, references.regions) for metric in metrics])
        for images in distorted
    ]
    for reference, prepared in references.read(metrics):
        for strips, running in batches:
            pair = ImagePair(reference, next(strips))
            for metric, means in zip(metrics, running, strict=True):
                means.add(prepared[metric.name], pair)
    fraction = references.regions.means
    return [
        _collect(running) | {"roi_fraction": fraction.expand(images.count)}
        for images, (_, running) in zip(distorted, batches, strict=True)
    ]


def _collect(running: Iterable[RunningMeans]) -> dict[str, Tensor]:
    """Return the numbers of all metrics, by column."""
    whole: dict[str, Tensor] = {}
    masked: dict[str, Tensor] = {}
    for means in running:
        of_whole, of_masked = means.combine()
        whole |= of_whole
        masked |= of_masked
    return whole | {f"roi_{name}": values for name, values in masked.items()}


@dataclass(frozen=True)
class RunningBatch:
    """Pairs that a GPU may still be working on.

    Attributes:
        size: height and width of all images.
        bit_depths: bits per sample of all references, and of all distorted images.
        scales: number of MS-SSIM scales.
        columns: fields of `Scores`, in the order of the columns of `numbers`.
        numbers: one row per pair.
    """

    size: tuple[int, int]
    bit_depths: tuple[int, int]
    scales: int
    columns: tuple[str, ...]
    numbers: Download

    def wait(self) -> list[Scores]:
        """Wait for the numbers, and return the scores in the order of the pairs."""
        return [
            self._make_scores(dict(zip(self.columns, row, strict=True)))
            for row in self.numbers.wait()
        ]

    def _make_scores(self, numbers: dict[str, float]) -> Scores:
        if numbers["roi_fraction"] < EMPTY_MEAN:
            numbers = {
                name: value
                for name, value in numbers.items()
                if name == "roi_fraction" or not name.startswith("roi_")
            }
        height, width = self.size
        return Scores(
            width=width,
            height=height,
            reference_bit_depth=self.bit_depths[0],
            distorted_bit_depth=self.bit_depths[1],
            ms_ssim_scales=self.scales,
            **numbers,
        )
