"""The door by which a metric enters the scorer.

A metric makes maps of a pair, and turns the spatial means of its maps into numbers. The scorer
takes the means twice, over the whole image and under the mask, so that every number `NAME` has its
`roi_NAME`. `README.md` explains how to add a metric.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from roi_ray.metrics.images import ImagePair, Images, Strip
from roi_ray.metrics.inputs import check_images, check_mask, check_weighting
from roi_ray.metrics.region import Region, Regions
from roi_ray.metrics.roi import MaskView, spatial_mean, whole_and_masked_means
from roi_ray.metrics.strips import ImageStrips
from roi_ray.settings import Weighting


class RowMeans(NamedTuple):
    """Means of some rows of one L map.

    Attributes:
        rows: number of rows; may be 0, and the means have no meaning then.
        whole: means over the rows, (N, ...), float64.
        masked: means under the mask, likewise.
    """

    rows: int
    whole: Tensor
    masked: Tensor


GetWeights = Callable[[int, tuple[int, int], torch.dtype], Tensor | None]
"""Given the number of a map, the height and width of its next rows, and its type, returns the
weights of these rows, (1 or N, h, w), contiguous; None if there is no mask."""


class Metric(ABC):
    """A full-reference metric.

    Large images come in strips of rows. A metric whose maps need no rows of other strips has to do
    nothing for that; others override `begin` and `map_heights`.

    Attributes:
        name: name of the metric, unique.
        mask_view: how a position of a map sees the mask.
    """

    name: str
    mask_view: MaskView = MaskView()

    def begin(self, images: ImageStrips) -> "Metric":
        """Return the metric for one sequence of strips, from top to bottom.

        It is called for references, whose strips are then given to `prepare`, and for distorted
        images, whose strips are then given to `compute_maps`. A metric that keeps rows from one
        strip to the next returns a new object each time.

        Args:
            images: all strips, which the metric may also read in advance.
        """
        return self

    def map_heights(self, height: int) -> list[int]:
        """Return the number of rows of each map that `compute_maps` yields.

        Args:
            height: height of the images.
        """
        return [height]

    def prepare(self, references: Images) -> Sequence[Tensor]:
        """Compute what depends on references alone; once per reference of a sweep.

        Args:
            references: whole references, or their next strip.

        Returns:
            tensors (N, ...), one entry per reference, which `compute_maps` is given again.
        """
        return ()

    @abstractmethod
    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        """Compute the L maps of distorted images.

        Args:
            prepared: output of `prepare` for the same rows of one reference, or of one per
                distorted image.
            pair: the distorted images and their references, whole or the next strip of both.

        Returns:
            maps (N, ..., h, w), float32 or float64. For a strip, the next rows of each map, which
            may be none; the rows of all strips together are the whole map. A generator saves
            memory: each map is averaged before the next one is computed.
        """

    def average_maps(
        self, prepared: Sequence[Tensor], pair: ImagePair, get_weights: GetWeights
    ) -> Iterator[RowMeans]:
        """Average the L maps, over the whole image and under the mask.

        Overridden by metrics with a kernel that averages maps without writing them.

        Args:
            prepared: see `compute_maps`.
            pair: see `compute_maps`.
            get_weights: returns the weights of the mask for the rows of a map.

        Yields:
            the means of each map that `compute_maps` returns, or of its next rows.
        """
        for number, maps in enumerate(self.compute_maps(prepared, pair)):
            height, width = maps.shape[-2:]
            weights = get_weights(number, (height, width), maps.dtype)
            if weights is None:
                whole = masked = spatial_mean(maps)
            else:
                whole, masked = whole_and_masked_means(maps, weights)
            yield RowMeans(height, whole, masked)

    @abstractmethod
    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        """Turn the maps' spatial means into numbers.

        Args:
            means: one (N, ...) per map, float64: over the whole image, or under the mask.

        Returns:
            numbers (N,) by column, without the prefix `roi_`.
        """


class _Means(NamedTuple):
    """Sums over the rows so far of one map, divided by its size: means, once all rows are in.

    Attributes:
        rows: number of rows so far.
        whole: the sum over the whole map.
        masked: the sum under the mask.
    """

    rows: int = 0
    whole: Tensor = torch.zeros((), dtype=torch.float64)
    masked: Tensor = torch.zeros((), dtype=torch.float64)


class RunningMeans:
    """Spatial means of a metric's maps, collected strip by strip.

    Args:
        metric: the metric.
        distorted: all strips of the distorted images.
        regions: regions of interest of the references; None for no mask.
    """

    def __init__(self, metric: Metric, distorted: ImageStrips, regions: Regions | None) -> None:
        self._metric = metric.begin(distorted)
        self._regions = regions
        # Rows of each whole map; None for whole images, whose maps tell them.
        self._heights = None if distorted.is_whole else self._metric.map_heights(distorted.size[0])
        self._means: list[_Means] = []

    def add(self, prepared: Sequence[Tensor], pair: ImagePair) -> None:
        """Add the next strip of a pair, with what the metric prepared of the same rows."""
        averages = self._metric.average_maps(prepared, pair, self._get_weights)
        for number, (rows, whole, masked) in enumerate(averages):
            if number == len(self._means):
                self._means.append(_Means())
            if rows:
                means = self._means[number]
                end = means.rows + rows
                share = rows / self._get_height(number, end)
                self._means[number] = _Means(
                    end, means.whole + whole * share, means.masked + masked * share
                )

    def _get_weights(self, number: int, size: tuple[int, int], dtype: torch.dtype) -> Tensor | None:
        """Return the weights for the next rows of a map; see `GetWeights`."""
        height, width = size
        if self._regions is None or not height:
            return None
        start = self._means[number].rows if number < len(self._means) else 0
        end = start + height
        rows = Strip(start, end, self._get_height(number, end))
        return self._regions.get_weights(self._metric.mask_view, rows, width, dtype)

    def _get_height(self, number: int, end: int) -> int:
        """Return the height of a map; of whole images, its rows end with the first ones."""
        return end if self._heights is None else self._heights[number]

    def combine(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the numbers of the whole image, and those under the mask, by column.

        Raises:
            ValueError: the metric's maps do not have the rows that `map_heights` tells.
        """
        rows = [means.rows for means in self._means]
        if self._heights is not None and rows != self._heights[: len(rows)]:
            raise ValueError(
                f"the maps of {self._metric.name!r} have {rows} rows, but its map_heights tells "
                f"{self._heights}"
            )
        whole = self._metric.combine([means.whole for means in self._means])
        return whole, self._metric.combine([means.masked for means in self._means])


@torch.no_grad()
def compute_metric(
    metric: Metric, x: Tensor, y: Tensor, mask: Tensor | None, weighting: Weighting
) -> dict[str, Tensor]:
    """Compute the numbers of a metric for tensors; the public functions of metrics call this.

    Args:
        metric: the metric.
        x: reference, (3, H, W) or (N, 3, H, W); floating-point in [0, 1], or uint8 in 0..255.
        y: distorted, likewise; N images are compared with one reference, or each with its own.
        mask: region of interest, see `check_mask`; None for the whole image.
        weighting: see `mask_weights`.

    Returns:
        numbers by column, float64, () or (N,); NaN where a mask has no region of interest.

    Raises:
        UsageError, SizeMismatch: a tensor or the weighting cannot be used.
    """
    check_weighting(weighting)
    references, images = (
        ImageStrips.from_samples(each, 255 if each.dtype == torch.uint8 else 1)
        for each in check_images(x, y)
    )
    regions = None
    if mask is not None:
        regions = Regions([Region(each) for each in check_mask(mask, y)], weighting)
    whole, masked = compute_numbers(metric, references, images, regions)
    if regions is None:
        numbers = whole
    else:
        has_region = regions.has_region()
        numbers = {
            name: torch.where(has_region, values, torch.nan) for name, values in masked.items()
        }
    return {name: values.view(y.shape[:-3]) for name, values in numbers.items()}


@torch.no_grad()
def compute_numbers(
    metric: Metric, references: ImageStrips, images: ImageStrips, regions: Regions | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Compute the numbers of a metric for images of any bit depth.

    Args:
        metric: the metric.
        references: one reference for all images, or one per image.
        images: the distorted images, split as the references are.
        regions: regions of interest of the references; None for the whole images.

    Returns:
        the numbers of the whole images, and those under the masks, by column; float64, (N,).
    """
    means = RunningMeans(metric, images, regions)
    preparing = metric.begin(references)
    for reference, distorted in zip(references, images, strict=True):
        means.add(preparing.prepare(reference), ImagePair(reference, distorted))
    return means.combine()
