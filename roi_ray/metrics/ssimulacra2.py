"""SSIMULACRA2, version 2.1: a metric of compression artefacts in XYB, at six scales.

By its published definition: J. Sneyers, https://github.com/cloudinary/ssimulacra2, and
`tools/ssimulacra2.cc` of libjxl and google/jpegli. At each scale three kinds of maps are made per
channel: an SSIM-like error, artefacts (edges that only the distorted image has) and lost detail
(edges that only the reference has). Their 1-norms and 4-norms make a weighted sum.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from roi_ray.errors import ImageTooSmall
from roi_ray.metrics.images import ImagePair, Images
from roi_ray.metrics.metric import Metric, compute_metric
from roi_ray.metrics.recursive_gaussian import RecursiveGaussianView, blur
from roi_ray.metrics.ssimulacra2_weights import (
    ARTEFACT,
    DETAIL,
    MAX_SCALES,
    SSIM,
    Channel,
    combine_norms,
    list_channels,
)
from roi_ray.metrics.xyb import halve, linear_light, positive_xyb
from roi_ray.settings import Weighting

_MIN_SIDE = 8
_C2 = 0.0009
_GROUP_PIXELS = 1 << 20


def ssimulacra2(
    x: Tensor, y: Tensor, mask: Tensor | None = None, weighting: Weighting = "mean"
) -> Tensor:
    """Compute SSIMULACRA2 2.1 of sRGB images.

    The number is that of the reference tool: 90 is visually lossless, 70 high, 50 medium, 30 low
    quality. Images below 113 pixels on a side have fewer than six scales. The tool then takes
    weights from the front of its table, meant for other channels; so does this function, but such
    numbers compare only with those of images of the same size.

    Args:
        x: reference, (3, H, W) or (N, 3, H, W); floating-point in [0, 1], or uint8 in 0..255.
        y: distorted, likewise; N images are compared with one reference, or each with its own.
        mask: region of interest, (H, W) or (N, H, W); floating-point in [0, 1], uint8 in 0..255 or
            bool. None for the whole image. It weights every map, averaged over the Gaussian window
            around each position: a 1-norm becomes the mean of the weighted map, a 4-norm the fourth
            root of the mean of the weighted fourth power.
        weighting: under a mask R of a map L, `mean` is mean(L R), `normalised` is
            sum(L R) / sum(R). Under `mean` the number depends on the mask's size: a small region
            comes near 100, whatever its quality. Compare images under one mask, or take
            `normalised`.

    Returns:
        float64, () or (N,), at most 100, which identical images get; negative for very bad ones;
        higher is better; NaN where a mask has no region of interest (mean below 1e-6). No
        gradients.

    Raises:
        ImageTooSmall: a side is below 8 pixels.
        UsageError: a tensor's type, shape or range is wrong.
        SizeMismatch: the images, or the mask, have different heights or widths.

    Examples:
        >>> import torch
        >>> x = torch.linspace(0, 1, 128).expand(3, 128, 128)
        >>> ssimulacra2(x, x)
        tensor(100., dtype=torch.float64)
        >>> y = x.clone()
        >>> y[:, :, 64:] = (y[:, :, 64:] * 16).round() / 16
        >>> ssimulacra2(x, y).round(decimals=1)
        tensor(56.7000, dtype=torch.float64)

        Most of the damage is on the right:

        >>> left = torch.zeros(128, 128)
        >>> left[:, :32] = 1
        >>> ssimulacra2(x, y, left, weighting="normalised").round(decimals=1)
        tensor(99.2000, dtype=torch.float64)
        >>> ssimulacra2(x, y, 1 - left, weighting="normalised").round(decimals=1)
        tensor(51.2000, dtype=torch.float64)
    """
    return compute_metric(METRIC, x, y, mask, weighting)["ssimulacra2"]


def scales_that_fit(height: int, width: int) -> int:
    """Return the number of scales of an image, 1 to 6.

    Raises:
        ImageTooSmall: a side is below 8 pixels.
    """
    side, scales = min(height, width), 1
    if side < _MIN_SIDE:
        raise ImageTooSmall(
            f"{width} x {height} pixels; SSIMULACRA2 needs at least {_MIN_SIDE} x {_MIN_SIDE}"
        )
    # As in the reference tool, the scale before must have 8 pixels a side, not the scale itself.
    while side >= _MIN_SIDE and scales < MAX_SCALES:
        side, scales = (side + 1) // 2, scales + 1
    return scales


def _iterate_scales(images: Images) -> Iterator[tuple[Tensor, list[Channel]]]:
    """Compute the XYB of each scale, (N, 3, h, w), and tell which channels are needed of it."""
    scales = scales_that_fit(*images.size)
    linear = linear_light(images)
    for scale in range(scales):
        image = positive_xyb(linear)
        linear = halve(linear)  # before the maps are made, so that the larger one is freed
        yield image, [each for each in list_channels(scales) if each.scale == scale]


class _Ssimulacra2(Metric):
    name = "ssimulacra2"
    mask_view = RecursiveGaussianView()

    def prepare(self, references: Images) -> Sequence[Tensor]:
        """Compute the XYB image of each scale, its means, and the means of squares."""
        prepared = []
        for image, channels in _iterate_scales(references):
            with_ssim = [channel.index for channel in channels if channel.has_ssim]
            prepared += [image, blur(image), blur(image[:, with_ssim].square())]
        return prepared

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        """Compute the maps of each channel at each scale, to the fourth power for 4-norms."""
        for scale, (image, channels) in enumerate(_iterate_scales(pair.distorted)):
            of_reference, mean, squares = prepared[3 * scale : 3 * scale + 3]
            reference = _Scale(of_reference, mean, squares, channels)
            # Small images are faster together, large ones take less memory one by one.
            group = 1 if image[:, 0].numel() > _GROUP_PIXELS else len(channels)
            for start in range(0, len(channels), group):
                yield from _compute_maps(reference, image, channels[start : start + group])

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        """Take the norms' weighted sum, and the final polynomial."""
        return {"ssimulacra2": combine_norms(means)}


METRIC = _Ssimulacra2()


class _Scale:
    """References at one scale.

    Args:
        image: XYB, (N, 3, h, w).
        mean: means of it, likewise.
        squares: means of its squares, (N, k, h, w), of the `k` channels that have an SSIM map.
        channels: the channels that are needed at this scale.
    """

    def __init__(
        self, image: Tensor, mean: Tensor, squares: Tensor, channels: Sequence[Channel]
    ) -> None:
        self.image, self.mean = image.unbind(1), mean.unbind(1)
        with_ssim = [channel.index for channel in channels if channel.has_ssim]
        self.square = dict(zip(with_ssim, squares.unbind(1), strict=True))


def _compute_maps(
    reference: _Scale, image: Tensor, channels: Sequence[Channel]
) -> Iterator[Tensor]:
    """Compute the maps of some channels, (N, terms, h, w) each; all are filtered together."""
    planes = []
    for channel in channels:
        x, y = reference.image[channel.index], image[:, channel.index]
        planes += [y, y * y, x * y] if channel.has_ssim else [y]
    filtered = iter(blur(torch.stack(planes, dim=1)).unbind(1))
    for channel in channels:
        x, x_mean = reference.image[channel.index], reference.mean[channel.index]
        y_mean = next(filtered)
        maps = _edge_maps(x, x_mean, image[:, channel.index], y_mean)
        if channel.has_ssim:
            moments = reference.square[channel.index], next(filtered), next(filtered)
            maps[SSIM] = _ssim_map(x_mean, y_mean, *moments)
        yield torch.stack(
            [
                maps[kind].square().square_() if norm else maps[kind]
                for norm, kind, _ in channel.terms
            ],
            dim=1,
        )


def _ssim_map(
    x_mean: Tensor, y_mean: Tensor, x_square: Tensor, y_square: Tensor, product: Tensor
) -> Tensor:
    """Compute 1 - SSIM, without SSIM's division of the means; rounded as in the tool."""
    luminance = 1 - (x_mean - y_mean).square_()
    covariance = (product - x_mean * y_mean).mul_(2).add_(_C2)
    variances = (y_square - y_mean.square()).add_(x_square - x_mean.square()).add_(_C2)
    return (1 - luminance.mul_(covariance).div_(variances)).clamp_(min=0)


def _edge_maps(x: Tensor, x_mean: Tensor, y: Tensor, y_mean: Tensor) -> dict[int, Tensor]:
    """Split (1 + |y - y_mean|) / (1 + |x - x_mean|) - 1 by its sign: artefacts, lost detail."""
    x_edge, y_edge = (x - x_mean).abs_(), (y - y_mean).abs_()
    ratio = y_edge.sub_(x_edge).div_(x_edge.add_(1))
    return {ARTEFACT: ratio.clamp(min=0), DETAIL: ratio.neg().clamp_(min=0)}
