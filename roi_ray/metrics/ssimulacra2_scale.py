"""A scale of SSIMULACRA2: its maps, and their means."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from roi_ray.metrics.metric import GetWeights, RowMeans
from roi_ray.metrics.recursive_gaussian import Blur, RowDelay
from roi_ray.metrics.ssimulacra2_weights import ARTEFACT, DETAIL, SSIM, Channel
from roi_ray.metrics.strips import RowBuffer
from roi_ray.metrics.xyb import halve

if TYPE_CHECKING:
    from roi_ray.metrics.compiled.ssimulacra2 import ScaleAverages

C2 = 0.0009
_GROUP_PIXELS = 1 << 20


class Scale:
    """A scale of images that come in strips: the rows that the next strip needs again.

    Args:
        channels: the channels that are needed at this scale.
        pixels: pixels of the largest strip, of all images together.
    """

    def __init__(self, channels: Sequence[Channel], pixels: int) -> None:
        # Small images are faster together, large ones take less memory one by one.
        size = 1 if pixels > _GROUP_PIXELS else max(1, len(channels))
        groups = [channels[start : start + size] for start in range(0, len(channels), size)]
        self.with_ssim = [channel.index for channel in channels if channel.has_ssim]
        self._cells = RowBuffer(2, stride=2, padding_below=1)
        self._mean, self._square = Blur(), Blur()
        self._groups = [(group, Blur()) for group in groups]
        self._references, self._distorted = RowDelay(), RowDelay()
        self.channels, self._pixels = channels, pixels
        self._averages: list[ScaleAverages] = []

    def halve(self, linear: Tensor, is_last: bool) -> Tensor:
        """Add the next rows, (N, 3, rows, W); take the next rows at half the size."""
        window = self._cells.push(linear, is_last)
        return linear[..., :0, ::2] if window is None else halve(window.rows)

    def filter_reference(self, image: Tensor, is_last: bool) -> list[Tensor]:
        """Compute the means of the next rows of XYB, and the means of their squares."""
        squares = image[:, self.with_ssim].square_()  # of a copy
        return [self._mean.push(image, is_last), self._square.push(squares, is_last)]

    def compute_maps(
        self, prepared: Sequence[Tensor], image: Tensor, is_last: bool
    ) -> Iterator[Tensor]:
        """Compute the next rows of the maps of each channel, (N, terms, h, w).

        Args:
            prepared: XYB of the references, (M, 3, rows, w), and what `filter_reference` gives.
            image: XYB of the distorted images, (N, 3, rows, w).
            is_last: whether these are the last rows.
        """
        references, means, squares = prepared
        late_references = self._references.push(references, is_last)
        late_images = self._distorted.push(image, is_last)
        square = dict(zip(self.with_ssim, squares.unbind(1), strict=True))
        for channels, means_of_images in self._groups:
            planes = []
            for channel in channels:
                x, y = references[:, channel.index], image[:, channel.index]
                planes += [y, y * y, x * y] if channel.has_ssim else [y]
            filtered = means_of_images.push(torch.stack(planes, dim=1), is_last).unbind(1)
            of_channel = iter(filtered)
            for channel in channels:
                x, y = late_references[:, channel.index], late_images[:, channel.index]
                x_mean, y_mean = means[:, channel.index], next(of_channel)
                maps = _edge_maps(x, x_mean, y, y_mean)
                if channel.has_ssim:
                    moments = square[channel.index], next(of_channel), next(of_channel)
                    maps[SSIM] = _ssim_map(x_mean, y_mean, *moments)
                yield _stack_terms(channel, maps)

    def average_maps(
        self,
        prepared: Sequence[Tensor],
        image: Tensor,
        is_last: bool,
        get_weights: GetWeights,
        first_map: int,
    ) -> Iterator[RowMeans]:
        """Average the next rows of the maps of each channel, by kernels that do not write them.

        Args:
            prepared: see `compute_maps`.
            image: see `compute_maps`.
            is_last: see `compute_maps`.
            get_weights: returns the weights of the mask for the rows of a map.
            first_map: number of the scale's first map.

        Yields:
            the means, (N, terms).
        """
        from roi_ray.metrics.compiled.ssimulacra2 import ScaleAverages

        references, *means = prepared
        late = [self._references.push(references, is_last), *means]
        late_image = self._distorted.push(image, is_last)
        height, width = late_image.shape[-2:]
        weights = get_weights(first_map, (height, width), torch.float32)
        # Large images take less memory one by one.
        count = max(1, _GROUP_PIXELS * len(image) // max(1, self._pixels))
        groups = [slice(start, start + count) for start in range(0, len(image), count)]
        self._averages = self._averages or [ScaleAverages(self.channels) for _ in groups]
        sums = []
        for group, averages in zip(groups, self._averages, strict=True):
            x, *of_references = (_select(each, group) for each in (references, *late))
            mask = None if weights is None else _select(weights, group)
            late_rows = [*of_references, late_image[group]]
            sums.append(averages.push(x, image[group], is_last, late_rows, mask))
        for of_channel in zip(*sums, strict=True):
            whole, masked = (torch.cat(each) for each in zip(*of_channel, strict=True))
            yield RowMeans(height, whole, masked)


def _select(tensor: Tensor, group: slice) -> Tensor:
    """Select what belongs to some images: one entry for all, or one per image."""
    return tensor if len(tensor) == 1 else tensor[group]


def _stack_terms(channel: Channel, maps: dict[int, Tensor]) -> Tensor:
    """Stack the maps that are needed of a channel, to the fourth power for 4-norms."""
    powers = [
        maps[kind].square().square_() if norm else maps[kind] for norm, kind, _ in channel.terms
    ]
    return torch.stack(powers, dim=1)


def _ssim_map(
    x_mean: Tensor, y_mean: Tensor, x_square: Tensor, y_square: Tensor, product: Tensor
) -> Tensor:
    """Compute 1 - SSIM, without SSIM's division of the means; rounded as in the tool."""
    luminance = 1 - (x_mean - y_mean).square_()
    covariance = (product - x_mean * y_mean).mul_(2).add_(C2)
    variances = (y_square - y_mean.square()).add_(x_square - x_mean.square()).add_(C2)
    return (1 - luminance.mul_(covariance).div_(variances)).clamp_(min=0)


def _edge_maps(x: Tensor, x_mean: Tensor, y: Tensor, y_mean: Tensor) -> dict[int, Tensor]:
    """Split (1 + |y - y_mean|) / (1 + |x - x_mean|) - 1 by its sign: artefacts, lost detail."""
    x_edge, y_edge = (x - x_mean).abs_(), (y - y_mean).abs_()
    ratio = y_edge.sub_(x_edge).div_(x_edge.add_(1))
    return {ARTEFACT: ratio.clamp(min=0), DETAIL: ratio.neg().clamp_(min=0)}
