"""References, prepared once for any number of distorted images, one by one and in batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from roi_ray.errors import UsageError
from roi_ray.metrics.images import Images
from roi_ray.metrics.metric import Metric
from roi_ray.metrics.region import Region, Regions
from roi_ray.metrics.strips import MIN_STRIP_ROWS, ImageStrips, split_into_strips
from roi_ray.settings import Weighting

PreparedRows = Mapping[str, Sequence[Tensor]]
"""What each metric prepared of some rows of references, by its name: tensors (N, ...)."""


@dataclass(eq=False, repr=False)
class Prepared:
    """A reference, with everything that does not depend on a distorted image.

    Attributes:
        images: the reference, in strips.
        bit_depth: bits per sample of the reference.
        region: its region of interest.
        metric_names: names of the metrics that it can be scored with.
        rows: what the metrics prepared of each strip; None for a large reference, of which it is
            computed again for each call of the scorer, because it would take too much memory.
    """

    images: ImageStrips
    bit_depth: int
    region: Region
    metric_names: frozenset[str]
    rows: Sequence[PreparedRows] | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.images.size

    @property
    def mask(self) -> Tensor:
        """The region of interest `R`, float32, (H, W), in [0, 1]."""
        return self.region.mask

    @property
    def roi_fraction(self) -> float:
        """Mean of the mask, in [0, 1]."""
        return float(self.region.mean)

    def split_further(self) -> "Prepared | None":
        """Return this reference in strips of half the height; None if they are low already."""
        rows = self.images.strips[0].end // 2
        if rows < MIN_STRIP_ROWS:
            return None
        strips = split_into_strips(self.size, rows * self.size[1])
        return replace(self, images=replace(self.images, strips=strips), rows=None)

    def __repr__(self) -> str:
        height, width = self.size
        return f"Prepared({width} x {height}, roi_fraction={self.roi_fraction:.4g})"


class ReferenceBatch:
    """The references of a batch of images: one that all images share, or one per image.

    Args:
        prepared: references of one size and bit depth, one per image; if they differ, their tensors
            are copied.
        weighting: weighting of the mask.

    Attributes:
        size: height and width in pixels.
        bit_depth: bits per sample of the references.
        strips: strips in which they are read.
        regions: regions of interest of the references; one, or one per image.
    """

    def __init__(self, prepared: Sequence[Prepared], weighting: Weighting) -> None:
        if all(reference is prepared[0] for reference in prepared):
            prepared = prepared[:1]
        self._prepared = prepared
        self.size, self.bit_depth = prepared[0].size, prepared[0].bit_depth
        self.strips = prepared[0].images.strips
        self.regions = Regions([reference.region for reference in prepared], weighting)

    def read(self, metrics: Sequence[Metric]) -> Iterator[tuple[Images, PreparedRows]]:
        """Read the references strip by strip, with what metrics prepare of each.

        Raises:
            UsageError: the references were prepared without one of the metrics.
        """
        for metric in metrics:
            if not all(metric.name in reference.metric_names for reference in self._prepared):
                raise UsageError(
                    f"the reference was prepared by a scorer without the metric {metric.name!r}; "
                    "prepare it with this scorer"
                )
        images = self._concatenate_images()
        kept = [reference.rows for reference in self._prepared if reference.rows is not None]
        if len(kept) < len(self._prepared):
            for strip, rows in prepare_strips(images, metrics):
                yield strip, rows
                for reference in self._prepared:
                    reference.region.kept_weights.clear()
            return
        for number, strip in enumerate(images):
            yield strip, _concatenate_rows([rows[number] for rows in kept])

    def _concatenate_images(self) -> ImageStrips:
        first, *others = (reference.images for reference in self._prepared)
        if not others:
            return first

        def load(start: int, end: int) -> Tensor:
            return torch.cat([reference.images.load(start, end) for reference in self._prepared])

        return ImageStrips(len(self._prepared), first.size, first.white, load, first.strips)


def prepare_strips(
    references: ImageStrips, metrics: Sequence[Metric]
) -> Iterator[tuple[Images, PreparedRows]]:
    """Read references strip by strip, and compute what metrics prepare of each."""
    begun = [metric.begin(references) for metric in metrics]
    for strip in references:
        yield strip, {metric.name: metric.prepare(strip) for metric in begun}


def select_rows(rows: PreparedRows, number: int) -> PreparedRows:
    """Select one reference of what was prepared of some rows of several."""
    return {
        name: [tensor[number : number + 1] for tensor in tensors] for name, tensors in rows.items()
    }


def _concatenate_rows(rows: Sequence[PreparedRows]) -> PreparedRows:
    """Concatenate what was prepared of the same rows of several references."""
    if len(rows) == 1:
        return rows[0]
    return {
        name: [torch.cat(tensors) for tensors in zip(*(each[name] for each in rows), strict=True)]
        for name in rows[0]
    }
