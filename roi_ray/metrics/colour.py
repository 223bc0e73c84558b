"""Mean squared errors of luma and chroma, which MSE over R, G and B hardly tells apart."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from roi_ray.metrics.images import ImagePair
from roi_ray.metrics.metric import GetWeights, Metric, RowMeans, compute_metric
from roi_ray.settings import Weighting

# Y'CbCr of ITU-R BT.601, full range, as in JPEG (JFIF).
RED, GREEN, BLUE = 0.299, 0.587, 0.114
CB_SCALE = 1 / (2 * (1 - BLUE))
CR_SCALE = 1 / (2 * (1 - RED))


def mse_ycbcr(
    x: Tensor, y: Tensor, mask: Tensor | None = None, weighting: Weighting = "mean"
) -> Tensor:
    """Compute the mean squared errors of Y', Cb and Cr, BT.601 full range, of sRGB in [0, 1].

    Y' is in [0, 1], Cb and Cr are in [-0.5, 0.5]: ITU-R BT.601, in the full range of JPEG (JFIF).

    Args:
        x: reference, (3, H, W) or (N, 3, H, W); floating-point in [0, 1], or uint8 in 0..255.
        y: distorted, likewise; N images are compared with one reference, or each with its own.
        mask: region of interest, (H, W) or (N, H, W); floating-point in [0, 1], uint8 in 0..255 or
            bool. None for the whole image.
        weighting: under a mask R of an error map L, `mean` is mean(L R), `normalised` is
            sum(L R) / sum(R).

    Returns:
        errors of Y', Cb and Cr, float64, (3,) or (N, 3), in [0, 1]; lower is better, 0 for
        identical images; NaN where a mask has no region of interest (mean below 1e-6). No
        gradients.

    Raises:
        UsageError: a tensor's type, shape or range is wrong.
        SizeMismatch: the images, or the mask, have different heights or widths.

    Examples:
        >>> import torch
        >>> grey = torch.full((3, 32, 32), 0.5)
        >>> mse_ycbcr(grey, grey + 0.1).round(decimals=4)
        tensor([0.0100, 0.0000, 0.0000], dtype=torch.float64)
        >>> bluish = grey.clone()
        >>> bluish[2] += 0.1
        >>> [round(error, 5) for error in mse_ycbcr(grey, bluish).tolist()]
        [0.00013, 0.0025, 7e-05]
    """
    numbers = compute_metric(METRIC, x, y, mask, weighting)
    return torch.stack([numbers[name] for name in _COLUMNS], dim=-1)


_COLUMNS = ("mse_y", "mse_cb", "mse_cr")


class _Colour(Metric):
    name = "colour"

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        return [squared_error_maps(*pair.difference)]

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        (mean,) = means
        return dict(zip(_COLUMNS, mean.unbind(1), strict=True))

    def average_maps(
        self, prepared: Sequence[Tensor], pair: ImagePair, get_weights: GetWeights
    ) -> Iterator[RowMeans]:
        if not pair.has_kernels:
            return super().average_maps(prepared, pair, get_weights)
        from roi_ray.metrics.compiled.pixels import average_colour_errors

        return iter([average_colour_errors(pair, get_weights)])


METRIC = _Colour()


def squared_error_maps(difference: Tensor, white: int) -> Tensor:
    """Compute the squared differences of Y', Cb and Cr.

    Args:
        difference: distorted minus reference, (N, 3, H, W); see `ImagePair.difference`.
        white: the difference of white from black.

    Returns:
        (N, 3, H, W), in [0, 1]; lower is better.
    """
    red, green, blue = difference.unbind(1)
    maps = difference.new_empty(difference.shape)
    luma, cb, cr = maps.unbind(1)
    # The transform is linear, so that it may be applied to differences.
    torch.mul(red, RED / white, out=luma)
    luma.add_(green, alpha=GREEN / white).add_(blue, alpha=BLUE / white)
    torch.mul(blue, CB_SCALE / white, out=cb).sub_(luma, alpha=CB_SCALE)
    torch.mul(red, CR_SCALE / white, out=cr).sub_(luma, alpha=CR_SCALE)
    return maps.square_()


def luma(values: Tensor) -> Tensor:
    """Compute luma Y' of sRGB values.

    Args:
        values: floating-point, (N, 3, H, W), in [0, 1].

    Returns:
        (N, H, W), in [0, 1].
    """
    red, green, blue = values.unbind(1)
    return red.mul(RED).add_(green, alpha=GREEN).add_(blue, alpha=BLUE)
