"""Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003).

The work is split, because in a sweep one reference meets many distorted images:
`filter_reference` runs once per reference, `similarity_maps` once per distorted image, and
`combine_scales` turns the maps' means, over the whole image or under a mask, into the number. On a
CPU `average_scales` takes the means without writing the maps. `ms_ssim` does all three.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.errors import ImageTooSmall
from roi_ray.metrics.gaussian import MARGIN, WINDOW
from roi_ray.metrics.images import ImagePair, Images
from roi_ray.metrics.metric import GetWeights, Metric, RowMeans, compute_metric
from roi_ray.metrics.roi import GaussianView
from roi_ray.metrics.similarity import Moments, compute_moments, similarity_map
from roi_ray.metrics.strips import ImageStrips, RowBuffer
from roi_ray.runtime.compiled import has_kernels
from roi_ray.settings import Weighting

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim(
    x: Tensor, y: Tensor, mask: Tensor | None = None, weighting: Weighting = "mean"
) -> Tensor:
    """Compute MS-SSIM of sRGB images, per channel, averaged over R, G and B.

    Images whose smaller side is below 161 pixels have fewer than five scales; the weights of those
    that fit are renormalised. At five scales the number equals `pytorch_msssim.ms_ssim`.

    Args:
        x: reference, (3, H, W) or (N, 3, H, W); floating-point in [0, 1], or uint8 in 0..255.
        y: distorted, likewise; N images are compared with one reference, or each with its own.
        mask: region of interest, (H, W) or (N, H, W); floating-point in [0, 1], uint8 in 0..255 or
            bool. None for the whole image. It weights the similarity at each scale, averaged over
            SSIM's window around each position.
        weighting: under a mask R of a similarity map L, `mean` is mean(L R), `normalised` is
            sum(L R) / sum(R).

    Returns:
        float64, () or (N,), in [0, 1]; higher is better, 1 for identical images; NaN where a mask
        has no region of interest (mean below 1e-6). No gradients.

    Raises:
        ImageTooSmall: a side is below 11 pixels.
        UsageError: a tensor's type, shape or range is wrong.
        SizeMismatch: the images, or the mask, have different heights or widths.

    Examples:
        >>> import torch
        >>> x = torch.linspace(0, 1, 64).expand(3, 64, 64)
        >>> ms_ssim(x, x).round(decimals=4)
        tensor(1., dtype=torch.float64)
        >>> ms_ssim(x, x * 0.5).round(decimals=2)
        tensor(0.7500, dtype=torch.float64)
    """
    return compute_metric(METRIC, x, y, mask, weighting)["ms_ssim"]


class _MsSsim(Metric):
    """MS-SSIM of whole images, or of the strips of a pyramid."""

    name = "ms_ssim"
    mask_view = GaussianView()

    def __init__(self, pyramid: "Pyramid | None" = None) -> None:
        self._pyramid = pyramid

    def begin(self, images: ImageStrips) -> Metric:
        return _MsSsim(Pyramid(*images.size))

    def map_heights(self, height: int) -> list[int]:
        """Return the number of rows of each map; narrow images have only the first of them."""
        return [side - 2 * MARGIN for side in _scale_sides(height)]

    def prepare(self, references: Images) -> Sequence[Tensor]:
        moments = filter_reference(references.planes, self._pyramid)
        return [tensor for scale in moments for tensor in (scale.image, scale.mean, scale.variance)]

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        return similarity_maps(_group_moments(prepared), pair.distorted.planes, self._pyramid)

    def average_maps(
        self, prepared: Sequence[Tensor], pair: ImagePair, get_weights: GetWeights
    ) -> Iterator[RowMeans]:
        images = pair.distorted.planes
        if has_kernels(images):
            return average_scales(_group_moments(prepared), images, get_weights, self._pyramid)
        return super().average_maps(prepared, pair, get_weights)

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        return {"ms_ssim": combine_scales(means)}


METRIC = _MsSsim()


def _group_moments(prepared: Sequence[Tensor]) -> list[Moments]:
    """Undo what `_MsSsim.prepare` returns."""
    scales = zip(prepared[0::3], prepared[1::3], prepared[2::3], strict=True)
    return [Moments(*scale) for scale in scales]


class Pyramid:
    """The scales of images that come in strips; a whole image is one strip.

    Args:
        height: height of the images.
        width: width of the images.

    Raises:
        ImageTooSmall: a side is smaller than the window.
    """

    def __init__(self, height: int, width: int) -> None:
        sides = _scale_sides(height)[: scales_that_fit(height, width)]
        self._windows = [RowBuffer(WINDOW) for _ in sides]
        self._cells = [RowBuffer(2, stride=2, padding=side % 2, padding_below=0) for side in sides]

    def push(self, rows: Tensor) -> Iterator[Tensor]:
        """Add the next rows of the images.

        Args:
            rows: float32, contiguous, (N, 3, rows, W), in [0, 1].

        Returns:
            for each scale, the finest first, the rows that the next positions of the window see,
            contiguous, (N, 3, h, w); h is 0 if no further position fits.
        """
        for scale, windows in enumerate(self._windows):
            if scale:
                rows = _halve(self._cells[scale - 1], rows)
            # No window reaches below the image, so that its last rows are like any others.
            window = windows.push(rows, is_last=False)
            yield rows[..., :0, :] if window is None else window.rows


def scales_that_fit(height: int, width: int) -> int:
    """Count the scales at which the smaller side still holds the window; 5 from 161 pixels on.

    Raises:
        ImageTooSmall: the window does not fit even at full resolution.
    """
    scales = len(_scale_sides(min(height, width)))
    if scales == 0:
        raise ImageTooSmall(f"{width} x {height} is smaller than SSIM's {WINDOW} x {WINDOW} window")
    return scales


def _scale_sides(side: int) -> list[int]:
    """Return a side at each scale that holds the window."""
    sides: list[int] = []
    while side >= WINDOW and len(sides) < len(SCALE_WEIGHTS):
        sides.append(side)
        side = (side + 1) // 2
    return sides


def filter_reference(reference: Tensor, pyramid: Pyramid | None = None) -> list[Moments]:
    """Compute the local moments of references at every scale that fits.

    Args:
        reference: float32, contiguous, (N, 3, H, W), in [0, 1]: whole images, or their next strip.
        pyramid: the scales of the strips before; None for whole images.

    Returns:
        one entry per scale, the finest first; of a strip, the rows that are new.

    Raises:
        ImageTooSmall: a side is smaller than the window.
    """
    pyramid = pyramid or Pyramid(*reference.shape[-2:])
    return [compute_moments(image) for image in pyramid.push(reference)]


def similarity_maps(
    reference: list[Moments], distorted: Tensor, pyramid: Pyramid | None = None
) -> Iterator[Tensor]:
    """Compute the L maps: contrast-structure at all scales but the last, full SSIM at the last.

    Args:
        reference: output of `filter_reference` for the same rows of one reference, or of one per
            distorted image.
        distorted: float32, contiguous, (N, 3, H, W), in [0, 1]: whole images, or their next strip.
        pyramid: the scales of the strips before; None for whole images.

    Yields:
        (N, 3, h, w) per scale, in [-1, 1], higher is better; h and w are the scale's size less
        `MARGIN` on each side; of a strip, the rows that are new.
    """
    pyramid = pyramid or Pyramid(*distorted.shape[-2:])
    last = len(reference) - 1
    scales = zip(reference, pyramid.push(distorted), strict=True)
    for scale, (moments, image) in enumerate(scales):
        yield similarity_map(moments, image, luminance=scale == last)


def average_scales(
    reference: list[Moments],
    distorted: Tensor,
    get_weights: GetWeights,
    pyramid: Pyramid | None = None,
) -> Iterator[RowMeans]:
    """Average what `similarity_maps` computes, by kernels for a CPU, without writing it.

    Args:
        reference: see `similarity_maps`.
        distorted: see `similarity_maps`.
        get_weights: returns the weights of the mask for the rows of a scale.
        pyramid: see `similarity_maps`.

    Yields:
        the means of each scale, (N, 3).
    """
    from roi_ray.metrics.compiled import ssim

    pyramid = pyramid or Pyramid(*distorted.shape[-2:])
    last = len(reference) - 1
    scales = zip(reference, pyramid.push(distorted), strict=True)
    for scale, (moments, image) in enumerate(scales):
        height, width = moments.mean.shape[-2:]
        weights = get_weights(scale, (height, width), torch.float32)
        x = (moments.image, moments.mean, moments.variance)
        yield RowMeans(height, *ssim.average_similarity(x, image, weights, scale == last))


def combine_scales(means: list[Tensor]) -> Tensor:
    """Multiply the means of all scales, each to the power of Wang's weight; average the channels.

    Where fewer than five scales fit, their weights are renormalised. A negative mean counts as 0,
    as it has no real power. In flat areas float32 leaves so few digits of a variance that a mean
    may come out above 1, by up to 1e-3; it counts as 1.

    Args:
        means: spatial means of the maps, one (N, 3) per scale.

    Returns:
        (N,), in [0, 1]; higher is better; 1 for identical images (to 1e-7; to 1e-4 where flat).
    """
    weights = SCALE_WEIGHTS[: len(means)]
    total = sum(weights) if len(means) < len(SCALE_WEIGHTS) else 1.0
    product = torch.ones_like(means[0])
    for mean, weight in zip(means, weights, strict=True):
        product *= mean.clamp(0, 1) ** (weight / total)
    return product.mean(dim=-1)


def _halve(cells: RowBuffer, rows: Tensor) -> Tensor:
    """Average 2 x 2 pixels; an odd side first gets a border of zeros, as in `pytorch_msssim`.

    Args:
        cells: the two rows that an output averages; one above the image where its height is odd.
        rows: the next rows of the images, (N, 3, H, W).

    Returns:
        the next rows of the result, (N, 3, h, ceil(W / 2)); none if too few rows came.
    """
    odd_columns = rows.shape[-1] % 2
    cell_rows = cells.push(rows, is_last=False)
    if cell_rows is None:
        return rows[..., :0, ::2]
    image, above = cell_rows.rows, cell_rows.above
    if above or odd_columns:
        # `pytorch_msssim` pads both sides and drops a window that is not full: the border is before
        # the first row or column.
        image = F.pad(image, (odd_columns, 0, above, 0))
    if has_kernels(image):
        from roi_ray.metrics.compiled import ssim

        return ssim.halve(image.contiguous())
    # Four times as fast on a CPU as `avg_pool2d`, which has no vector code for this layout.
    lines = image[..., 0::2, :] + image[..., 1::2, :]
    return (lines[..., 0::2] + lines[..., 1::2]).mul_(0.25)
