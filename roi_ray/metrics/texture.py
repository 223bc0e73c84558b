"""Texture gained and lost: how the local contrast of luma differs, relative to the reference's.

People see noise, ringing and the edges of blocks where the reference is smooth, and miss texture
that has become smooth. Errors of pixels and of structure tell neither apart from errors that
texture hides.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from roi_ray.errors import ImageTooSmall
from roi_ray.metrics.colour import luma
from roi_ray.metrics.gaussian import MARGIN, WINDOW, exact_gaussian_means
from roi_ray.metrics.images import ImagePair, Images
from roi_ray.metrics.metric import GetWeights, Metric, RowMeans, compute_metric
from roi_ray.metrics.roi import GaussianView
from roi_ray.metrics.strips import ImageStrips, RowBuffer
from roi_ray.runtime.compiled import has_kernels
from roi_ray.settings import Weighting

_HARDLY_SEEN = 0.01
"""Standard deviation of luma, 2.5 of 255 levels, below which texture is hardly seen; its square is
the constant C1 of SSIM."""

_COLUMNS = ("texture_gained", "texture_lost")


def texture(
    x: Tensor, y: Tensor, mask: Tensor | None = None, weighting: Weighting = "mean"
) -> Tensor:
    """Compute how much texture images have gained and lost, relative to the reference's texture.

    Texture is the standard deviation s of luma Y' (BT.601 full range, of sRGB in [0, 1]) over
    SSIM's window, a Gaussian of 11 x 11 pixels and sigma 1.5. The maps are the squares of
    max(s_y - s_x, 0) and max(s_x - s_y, 0), divided by s_x^2 + 0.01^2; the numbers are the roots of
    their means. Noise, ringing and blocks in smooth areas are gained; what blur takes is lost.

    Args:
        x: reference, (3, H, W) or (N, 3, H, W); floating-point in [0, 1], or uint8 in 0..255.
        y: distorted, likewise; N images are compared with one reference, or each with its own.
        mask: region of interest, (H, W) or (N, H, W); floating-point in [0, 1], uint8 in 0..255 or
            bool. None for the whole image. It weights the maps, averaged over the window around
            each position.
        weighting: under a mask R of a map L, `mean` is mean(L R), `normalised` is
            sum(L R) / sum(R); the number is its root.

    Returns:
        texture gained and lost, float64, (2,) or (N, 2); texture gained is 0 to 50, texture lost 0
        to 1; lower is better, 0 for identical images; NaN where a mask has no region of interest
        (mean below 1e-6). No gradients.

    Raises:
        ImageTooSmall: a side is below 11 pixels.
        UsageError: a tensor's type, shape or range is wrong.
        SizeMismatch: the images, or the mask, have different heights or widths.

    Examples:
        >>> import torch
        >>> noise = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
        >>> smooth, grainy = torch.full((3, 64, 64), 0.5), (0.5 + 0.1 * noise).expand(3, 64, 64)
        >>> texture(smooth, grainy).round(decimals=2)
        tensor([2.8200, 0.0000], dtype=torch.float64)
        >>> texture(grainy, smooth).round(decimals=2)
        tensor([0.0000, 0.9400], dtype=torch.float64)
    """
    numbers = compute_metric(METRIC, x, y, mask, weighting)
    return torch.stack([numbers[name] for name in _COLUMNS], dim=-1)


class _Texture(Metric):
    """Texture of whole images, or of images that come in strips.

    Args:
        rows: luma that the next positions of the window see; None for whole images.
    """

    name = "texture"
    mask_view = GaussianView()

    def __init__(self, rows: RowBuffer | None = None) -> None:
        self._rows = rows

    def begin(self, images: ImageStrips) -> Metric:
        height, width = images.size
        if min(height, width) < WINDOW:
            raise ImageTooSmall(
                f"{width} x {height} is smaller than the {WINDOW} x {WINDOW} window of texture"
            )
        return _Texture(RowBuffer(WINDOW))

    def map_heights(self, height: int) -> list[int]:
        return [height - 2 * MARGIN] * len(_COLUMNS)

    def prepare(self, references: Images) -> Sequence[Tensor]:
        return [self._measure(references)]

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        (reference,) = prepared
        return change_maps(reference, self._measure(pair.distorted))

    def average_maps(
        self, prepared: Sequence[Tensor], pair: ImagePair, get_weights: GetWeights
    ) -> Iterator[RowMeans]:
        (reference,) = prepared
        if not has_kernels(reference):
            yield from super().average_maps(prepared, pair, get_weights)
            return
        from roi_ray.metrics.compiled.texture import average_changes

        window = self._collect_rows(pair.distorted)
        height, width = reference.shape[-2:]
        weights = get_weights(0, (height, width), reference.dtype)
        whole, masked = average_changes(reference, window, weights, _HARDLY_SEEN)
        for means in zip(whole, masked, strict=True):
            yield RowMeans(height, *means)

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        return dict(zip(_COLUMNS, (mean.sqrt() for mean in means), strict=True))

    def _measure(self, images: Images) -> Tensor:
        """Compute the local deviations of whole images, or the next rows of them."""
        return local_deviations(self._collect_rows(images))

    def _collect_rows(self, images: Images) -> Tensor:
        """Return luma of whole images, or the rows that the next positions of the window see."""
        rows = luma(images.planes)
        # No window reaches below the image, so that its last rows are like any others.
        window = (self._rows or RowBuffer(WINDOW)).push(rows, is_last=False)
        return rows[:, :0] if window is None else window.rows


METRIC = _Texture()


def local_deviations(image: Tensor) -> Tensor:
    """Compute standard deviations over SSIM's window.

    Args:
        image: float32, contiguous, (N, H, W), in [0, 1]; H and W are 11 or more, or H is 0.

    Returns:
        float32, (N, H - 10, W - 10), in [0, 0.5]; the same values wherever the images are the same.
    """
    if not image.shape[-2]:
        return image[..., 2 * MARGIN :]
    if has_kernels(image):
        from roi_ray.metrics.compiled import texture as kernels

        return kernels.local_deviations(image)
    # In flat areas, where it matters, float32 leaves few digits of this difference.
    image = image.double()
    mean, square = exact_gaussian_means(image), exact_gaussian_means(image.square())
    return square.addcmul_(mean, mean, value=-1).clamp_(min=0).sqrt_().float()


def change_maps(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Compute the L maps of texture gained, and of texture lost.

    Args:
        x: local deviations of one reference, or of one per image, (1 or N, h, w).
        y: those of the distorted images, (N, h, w).

    Yields:
        (N, h, w), lower is better: in [0, 2500], then in [0, 1].
    """
    change = (y - x).mul_(x.square().add_(_HARDLY_SEEN**2).rsqrt_())
    yield change.clamp(min=0).square_()
    yield change.clamp_(max=0).square_()
