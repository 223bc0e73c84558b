"""SSIMULACRA2, version 2.1: a metric of compression artefacts in XYB, at six scales.

By its published definition: J. Sneyers, https://github.com/cloudinary/ssimulacra2, and
`tools/ssimulacra2.cc` of libjxl and google/jpegli. At each scale three kinds of maps are made per
channel: an SSIM-like error, artefacts (edges that only the distorted image has) and lost detail
(edges that only the reference has). Their 1-norms and 4-norms make a weighted sum.
"""

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from roi_ray.errors import ImageTooSmall
from roi_ray.metrics.images import ImagePair, Images
from roi_ray.metrics.metric import GetWeights, Metric, RowMeans, compute_metric
from roi_ray.metrics.multiply_add import has_fused_kernels
from roi_ray.metrics.recursive_gaussian import RecursiveGaussianView
from roi_ray.metrics.ssimulacra2_scale import Scale
from roi_ray.metrics.ssimulacra2_weights import MAX_SCALES, Y, combine_norms, list_channels
from roi_ray.metrics.strips import ImageStrips
from roi_ray.metrics.xyb import linear_light, positive_xyb
from roi_ray.settings import Weighting

_MIN_SIDE = 8


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


def _make_scales(height: int, width: int, pixels: int) -> list[Scale]:
    """Make the scales of images whose strips, of all images together, have so many pixels."""
    count = scales_that_fit(height, width)
    channels = list_channels(count)
    return [
        Scale([channel for channel in channels if channel.scale == scale], pixels >> 2 * scale)
        for scale in range(count)
    ]


class _Ssimulacra2(Metric):
    """SSIMULACRA2 of whole images, or of the strips of images that have these scales."""

    name = "ssimulacra2"
    mask_view = RecursiveGaussianView()

    def __init__(self, scales: Sequence[Scale] = ()) -> None:
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

    def average_maps(
        self, prepared: Sequence[Tensor], pair: ImagePair, get_weights: GetWeights
    ) -> Iterator[RowMeans]:
        if not has_fused_kernels(pair.distorted.samples):
            yield from super().average_maps(prepared, pair, get_weights)
            return
        is_last, maps = pair.distorted.is_last, 0
        for number, (scale, image) in enumerate(self._iterate_scales(pair.distorted)):
            of_reference = prepared[3 * number : 3 * number + 3]
            yield from scale.average_maps(of_reference, image, is_last, get_weights, maps)
            maps += len(scale.channels)

    def _iterate_scales(self, images: Images) -> Iterator[tuple[Scale, Tensor]]:
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
