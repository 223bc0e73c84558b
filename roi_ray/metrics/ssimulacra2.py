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
from roi_ray.metrics.recursive_gaussian import Blur, RecursiveGaussianView, RowDelay
from roi_ray.metrics.ssimulacra2_weights import (
    ARTEFACT,
    DETAIL,
    MAX_SCALES,
    SSIM,
    Channel,
    Y,
    combine_norms,
    list_channels,
)
from roi_ray.metrics.strips import ImageStrips, RowBuffer
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


class _Scale:
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

    def halve(self, linear: Tensor, is_last: bool) -> Tensor:
        """Add the next rows, (N, 3, rows, W); take the next rows at half the size."""
        window = self._cells.push(linear, is_last)
        return linear[..., :0, ::2] if window is None else halve(window.rows)

    def filter_reference(self, image: Tensor, is_last: bool) -> list[Tensor]:
        """Compute the means of the next rows of XYB, and the means of their squares."""
        squares = image[:, self.with_ssim].square()
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


def _make_scales(height: int, width: int, pixels: int) -> list[_Scale]:
    """Make the scales of images whose strips, of all images together, have so many pixels."""
    count = scales_that_fit(height, width)
    channels = list_channels(count)
    return [
        _Scale([channel for channel in channels if channel.scale == scale], pixels >> 2 * scale)
        for scale in range(count)
    ]


class _Ssimulacra2(Metric):
    """SSIMULACRA2 of whole images, or of the strips of images that have these scales."""

    name = "ssimulacra2"
    mask_view = RecursiveGaussianView()

    def __init__(self, scales: Sequence[_Scale] = ()) -> None:
        self._scales = scales

    def begin(self, images: ImageStrips) -> Metric:
        rows = max(strip.end - strip.start for strip in images.strips)
        height, width = images.size
        return _Ssimulacra2(_make_scales(height, width, images.count * rows * width))

    def map_heights(self, height: int) -> list[int]:
        """Return the number of rows of each map, of images as high as wide unless begun."""
        scales = len(self._scales) or scales_that_fit(height, height)
        return [-(-height >> channel.scale) for channel in list_channels(scales)]

    def prepare(self, references: Images) -> Sequence[Tensor]:
        """Compute the XYB image of each scale, its means, and the means of squares."""
        prepared = []
        for scale, image in self._iterate_scales(references):
            prepared += [image, *scale.filter_reference(image, references.is_last)]
        return prepared

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        """Compute the maps of each channel at each scale, to the fourth power for 4-norms."""
        for number, (scale, image) in enumerate(self._iterate_scales(pair.distorted)):
            of_reference = prepared[3 * number : 3 * number + 3]
            yield from scale.compute_maps(of_reference, image, pair.distorted.is_last)

    def _iterate_scales(self, images: Images) -> Iterator[tuple[_Scale, Tensor]]:
        """Compute the next rows of XYB of each scale, (N, 3, h, w)."""
        height, width = images.size
        scales = self._scales or _make_scales(height, width, len(images) * height * width)
        linear = linear_light(images)
        for scale in scales:
            image = positive_xyb(linear)
            # Before the maps are made, so that the larger one is freed.
            linear = scale.halve(linear, images.is_last)
            yield scale, image

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        """Take the norms' weighted sum, and the final polynomial; also of the channel Y alone."""
        return {"ssimulacra2": combine_norms(means), "ssimulacra2_y": combine_norms(means, only=Y)}


METRIC = _Ssimulacra2()


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
    covariance = (product - x_mean * y_mean).mul_(2).add_(_C2)
    variances = (y_square - y_mean.square()).add_(x_square - x_mean.square()).add_(_C2)
    return (1 - luminance.mul_(covariance).div_(variances)).clamp_(min=0)


def _edge_maps(x: Tensor, x_mean: Tensor, y: Tensor, y_mean: Tensor) -> dict[int, Tensor]:
    """Split (1 + |y - y_mean|) / (1 + |x - x_mean|) - 1 by its sign: artefacts, lost detail."""
    x_edge, y_edge = (x - x_mean).abs_(), (y - y_mean).abs_()
    ratio = y_edge.sub_(x_edge).div_(x_edge.add_(1))
    return {ARTEFACT: ratio.clamp(min=0), DETAIL: ratio.neg().clamp_(min=0)}
