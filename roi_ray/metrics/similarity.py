"""SSIM's maps of one scale, from images and the local moments of the references."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from roi_ray.metrics.gaussian import (
    MARGIN,
    gaussian_means,
    gaussian_means_at_once,
    gaussian_taps,
)
from roi_ray.runtime.triton import has_triton

_C1 = 0.01**2
_C2 = 0.03**2
_BLOCK_PIXELS = 1 << 16
_MIN_BLOCK_ROWS = 32
_MAX_BLOCK_COLUMNS = 2048
"""From some 4,000 columns on, torch's convolution takes more than twice as long per pixel."""


@dataclass(frozen=True)
class Moments:
    """References at one scale, with their local moments.

    Attributes:
        image: (N, 3, H, W), in [0, 1].
        mean: local means over the window, (N, 3, H - 10, W - 10).
        variance: local variances, of the same shape.
    """

    image: Tensor
    mean: Tensor
    variance: Tensor

    def select(self, images: slice, block: "Block") -> "Moments":
        """Select some of the references, and a block of their maps."""
        rows, columns = block
        return Moments(
            self.image[images, :, widen(rows), widen(columns)],
            self.mean[images, :, rows, columns],
            self.variance[images, :, rows, columns],
        )


Block = tuple[slice, slice]
"""Rows and columns of a map."""


def widen(positions: slice) -> slice:
    """Return the rows or columns of the image that the window sees at positions of the map."""
    return slice(positions.start, positions.stop + 2 * MARGIN)


def list_blocks(height: int, width: int) -> list[Block]:
    """Split a map into blocks for which all intermediate results stay in a CPU's cache."""
    columns = -(-width // -(-width // _MAX_BLOCK_COLUMNS))
    rows = max(_MIN_BLOCK_ROWS, _BLOCK_PIXELS // columns)
    return [
        (slice(top, min(top + rows, height)), slice(left, min(left + columns, width)))
        for top in range(0, height, rows)
        for left in range(0, width, columns)
    ]


def compute_moments(image: Tensor) -> Moments:
    """Compute the local moments of references at one scale.

    Args:
        image: float32, (N, 3, H, W), in [0, 1]; H is 11 or more, or 0.
    """
    if not image.shape[-2]:
        empty = image[..., : -2 * MARGIN]
        return Moments(image, empty, empty)
    if image.device.type != "cpu":
        mean, square = gaussian_means_at_once(torch.stack([image, image * image]))
        return Moments(image, mean, square.addcmul_(mean, mean, value=-1))
    height, width = (side - 2 * MARGIN for side in image.shape[-2:])
    means, variances = image.new_empty(2, *image.shape[:2], height, width)
    for rows, columns in list_blocks(height, width):
        block = image[..., widen(rows), widen(columns)]
        inputs = torch.stack([block, block * block])
        mean, square = gaussian_means(inputs)
        means[..., rows, columns] = mean
        torch.addcmul(square, mean, mean, value=-1, out=variances[..., rows, columns])
    return Moments(image, means, variances)


def similarity_map(x: Moments, y: Tensor, luminance: bool) -> Tensor:
    """Compute SSIM's contrast-structure; with `luminance`, full SSIM.

    Args:
        x: one reference, or one per distorted image.
        y: distorted, float32, contiguous, (N, 3, H, W), in [0, 1].
        luminance: whether to multiply by the luminance term.

    Returns:
        (N, 3, h, w), in [-1, 1], higher is better; the size of `x.mean`.
    """
    if not y.shape[-2]:
        return y[..., : -2 * MARGIN]
    on_cpu = y.device.type == "cpu"
    return (_similarity_in_blocks if on_cpu else _similarity_at_once)(x, y, luminance)


def _similarity_in_blocks(x: Moments, y: Tensor, luminance: bool) -> Tensor:
    """Compute contrast-structure, (N, 3, h, w), on a CPU; with `luminance`, full SSIM."""
    height, width = x.mean.shape[-2:]
    similarity = y.new_empty(*y.shape[:2], height, width)
    for number in range(len(y)):
        one_image = slice(number, number + 1)
        for block in list_blocks(height, width):
            rows, columns = block
            reference = x.select(one_image if len(x.image) > 1 else slice(None), block)
            image = y[one_image, :, widen(rows), widen(columns)]
            inputs = image.new_empty(3, *image.shape)
            inputs[0] = image
            torch.mul(image, image, out=inputs[1])
            torch.mul(image, reference.image, out=inputs[2])
            means = gaussian_means(inputs).unbind()
            similarity[one_image, :, rows, columns] = _ssim(
                means, reference.mean, reference.variance, luminance
            )
    return similarity


def _similarity_at_once(x: Moments, y: Tensor, luminance: bool) -> Tensor:
    """Compute the same map on a GPU, where few large kernels are faster than many small ones."""
    if has_triton():
        from roi_ray.metrics.triton import ssim

        constants = (_C1, _C2)
        taps = gaussian_taps(y.device)
        return ssim.similarity_map(x.image, y, x.mean, x.variance, taps, constants, luminance)
    filtered = gaussian_means_at_once(torch.stack([y, y * y, y * x.image]))
    return _ssim(filtered.unbind(), x.mean, x.variance, luminance)


def _ssim(
    filtered: Sequence[Tensor], x_mean: Tensor, x_variance: Tensor, luminance: bool
) -> Tensor:
    """Compute SSIM from the local means of `y`, `y y` and `x y`, which are overwritten."""
    mean, square, product = filtered
    variance = square.addcmul_(mean, mean, value=-1)
    covariance = product.addcmul_(x_mean, mean, value=-1)
    similarity: Tensor = covariance.mul_(2).add_(_C2).div_(variance.add_(x_variance).add_(_C2))
    if luminance:
        means = x_mean * mean
        similarity *= (2 * means + _C1) / (x_mean * x_mean + mean * mean + _C1)
    return similarity
