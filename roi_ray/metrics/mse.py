"""Mean squared error, and the peak signal-to-noise ratio computed from it."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from roi_ray.metrics.images import ImagePair
from roi_ray.metrics.metric import GetWeights, Metric, RowMeans, compute_metric
from roi_ray.settings import PSNR_CAP, Weighting


def mse(x: Tensor, y: Tensor, mask: Tensor | None = None, weighting: Weighting = "mean") -> Tensor:
    """Compute the mean squared error of sRGB values in [0, 1], over R, G and B.

    Args:
        x: reference, (3, H, W) or (N, 3, H, W); floating-point in [0, 1], or uint8 in 0..255.
            Samples of n bits, n above 8, are divided by 2^n - 1 in float64.
        y: distorted, likewise; N images are compared with one reference, or each with its own.
        mask: region of interest, (H, W) or (N, H, W); floating-point in [0, 1], uint8 in 0..255 or
            bool. None for the whole image.
        weighting: under a mask R of an error map L, `mean` is mean(L R), `normalised` is
            sum(L R) / sum(R).

    Returns:
        float64, () or (N,), in [0, 1]; lower is better, 0 for identical images; NaN where a mask
        has no region of interest (mean below 1e-6). No gradients.

    Raises:
        UsageError: a tensor's type, shape or range is wrong.
        SizeMismatch: the images, or the mask, have different heights or widths.

    Examples:
        >>> import torch
        >>> x = torch.full((3, 32, 32), 0.5)
        >>> mse(x, x + 0.25)
        tensor(0.0625, dtype=torch.float64)
        >>> y = x.clone()
        >>> y[:, :, :8] += 0.25
        >>> left = torch.zeros(32, 32)
        >>> left[:, :16] = 1
        >>> mse(x, y, left)
        tensor(0.0156, dtype=torch.float64)
        >>> mse(x, y, left, weighting="normalised")
        tensor(0.0312, dtype=torch.float64)
    """
    return compute_metric(METRIC, x, y, mask, weighting)["mse"]


def psnr(x: Tensor, y: Tensor, mask: Tensor | None = None, weighting: Weighting = "mean") -> Tensor:
    """Compute the peak signal-to-noise ratio, -10 log10(MSE), of sRGB images.

    Args:
        x: reference, see `mse`.
        y: distorted, see `mse`.
        mask: region of interest, see `mse`.
        weighting: see `mse`.

    Returns:
        dB, float64, () or (N,); higher is better, 100 (`PSNR_CAP`) at most; NaN where a mask has
        no region of interest. No gradients.

    Raises:
        UsageError, SizeMismatch: see `mse`.

    Examples:
        >>> import torch
        >>> x = torch.full((3, 32, 32), 0.5)
        >>> psnr(x, x + 0.1)
        tensor(20.0000, dtype=torch.float64)
        >>> psnr(x, x)
        tensor(100., dtype=torch.float64)
    """
    return compute_metric(METRIC, x, y, mask, weighting)["psnr"]


class _Mse(Metric):
    name = "mse"

    def compute_maps(self, prepared: Sequence[Tensor], pair: ImagePair) -> Iterable[Tensor]:
        return [squared_error_map(*pair.difference)]

    def combine(self, means: list[Tensor]) -> dict[str, Tensor]:
        (mean,) = means
        return {"mse": mean, "psnr": psnr_from_mse(mean)}

    def average_maps(
        self, prepared: Sequence[Tensor], pair: ImagePair, get_weights: GetWeights
    ) -> Iterator[RowMeans]:
        if not pair.has_kernels:
            return super().average_maps(prepared, pair, get_weights)
        from roi_ray.metrics.compiled.pixels import average_squared_errors

        return iter([average_squared_errors(pair, get_weights)])


METRIC = _Mse()


def squared_error_map(difference: Tensor, white: int) -> Tensor:
    """Compute the L map of MSE: squared differences, averaged over R, G and B.

    Args:
        difference: distorted minus reference, (N, 3, H, W); see `ImagePair.difference`.
        white: the difference of white from black.

    Returns:
        (N, H, W), in [0, 1]; lower is better.
    """
    # Of 8-bit images, the squares and the sum of three are integers below 2^24, which float32
    # holds exactly: only the division rounds.
    red, green, blue = difference.square().unbind(1)
    return (red + green).add_(blue).div_(3 * white**2)


def psnr_from_mse(mse: Tensor) -> Tensor:
    """Convert mean squared errors of values in [0, 1] to PSNR, `-10 log10(mse)`.

    Args:
        mse: any shape, in [0, 1].

    Returns:
        dB, of the same shape, at most `PSNR_CAP`; higher is better.
    """
    return (-10 * torch.log10(mse)).clamp(max=PSNR_CAP)
