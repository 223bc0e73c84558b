"""Prepare references: their masks, and what the metrics need of them."""

from collections.abc import Sequence

import torch

from roi_ray.errors import OutOfMemory
from roi_ray.imaging.pixels import Pixels, Pixels8, bit_depth_of
from roi_ray.metrics.metric import Metric
from roi_ray.metrics.ms_ssim import scales_that_fit
from roi_ray.metrics.region import Region
from roi_ray.metrics.strips import ImageStrips, plan_strips
from roi_ray.models.saliency import Saliency
from roi_ray.runtime.memory import out_of_memory_errors
from roi_ray.scoring.masks import make_masks
from roi_ray.scoring.needs import KEPT_BYTES
from roi_ray.scoring.prepared import Prepared, PreparedRows, prepare_strips, select_rows
from roi_ray.scoring.read import make_strips


class Preparation:
    """Prepares references on one device.

    Args:
        saliency: the saliency network.
        metrics: the metrics that the references are prepared for.
        device: device of the network and the metrics.
    """

    def __init__(self, saliency: Saliency, metrics: Sequence[Metric], device: torch.device) -> None:
        self._saliency, self._metrics, self._device = saliency, metrics, device

    def prepare(
        self, references: Sequence[Pixels], masks: Sequence[Pixels8 | None]
    ) -> list[Prepared]:
        """Prepare references of one size and bit depth; large ones one by one.

        Args:
            references: see `Scorer.prepare_all`.
            masks: see `Scorer.prepare_all`.
        """
        height, width = references[0].shape[:2]
        scales_that_fit(height, width)  # refuses images that are too small
        if len(plan_strips((height, width), self._device)) == 1:
            return self._prepare(references, masks)
        # They are read again later, and the caller may change the arrays until then.
        kept = [each.copy() if each.flags.writeable else each for each in references]
        pairs = zip(kept, masks, strict=True)
        return [self._prepare([reference], [mask])[0] for reference, mask in pairs]

    def _prepare(
        self, references: Sequence[Pixels], masks: Sequence[Pixels8 | None]
    ) -> list[Prepared]:
        images = make_strips(references, self._device)
        regions = self._make_regions(images, masks)
        names = frozenset(metric.name for metric in self._metrics)
        try:
            with out_of_memory_errors(images.size):
                rows = self._prepare_rows(images)
        except OutOfMemory:
            if images.is_whole:
                raise
            rows = None  # the scorer has lower strips to try
        return [
            Prepared(
                images=images.select(number),
                bit_depth=bit_depth_of(references[0]),
                region=region,
                metric_names=names,
                rows=rows and [select_rows(prepared, number) for prepared in rows],
            )
            for number, region in enumerate(regions)
        ]

    def _prepare_rows(self, images: ImageStrips) -> list[PreparedRows] | None:
        """Prepare the rows of every strip; None if that would take too much memory."""
        strips: list[PreparedRows] = []
        for _, rows in prepare_strips(images, self._metrics):
            strips.append(rows)
            size = sum(tensor.nbytes for tensors in rows.values() for tensor in tensors)
            if not images.is_whole and len(images.strips) * size > KEPT_BYTES:
                return None
        return strips

    def _make_regions(self, images: ImageStrips, masks: Sequence[Pixels8 | None]) -> list[Region]:
        """Return the region of each image; the network makes the masks that are not given."""
        if missing := [number for number, mask in enumerate(masks) if mask is None]:
            unmasked = images if len(missing) == images.count else images.select(*missing)
            made = iter(make_masks(self._saliency, unmasked))
        return [
            Region(next(made) if mask is None else torch.from_numpy(mask.copy()).to(self._device))
            for mask in masks
        ]
