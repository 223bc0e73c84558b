"""Instance norm of an image that comes in strips: statistics first, then one position at a time."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class FrozenInstanceNorm(nn.Module):
    """Instance norm with the statistics of whole images, for any rows of them.

    Args:
        norm: the instance norm.
        strips: all rows of its input, in strips (N, C, rows, W) from top to bottom, some of which
            may be empty.
    """

    def __init__(self, norm: nn.InstanceNorm2d, strips: Iterable[Tensor]) -> None:
        super().__init__()
        mean, variance = _measure(strips)
        scale = (variance + norm.eps).rsqrt()
        self._offset: Tensor | None = None
        if norm.affine:
            scale = scale * norm.weight.double()[:, None, None]
            self._offset = norm.bias.float()[:, None, None]
        self._mean, self._scale = mean.float(), scale.float()

    def forward(self, x: Tensor) -> Tensor:
        """Normalise rows (N, C, rows, W), in float32; returns their type."""
        y = (x - self._mean).mul_(self._scale)
        return (y if self._offset is None else y.add_(self._offset)).to(x.dtype)


def _measure(strips: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Compute the mean and the biased variance of each channel, float64, (N, C, 1, 1).

    Chan, Golub, LeVeque: "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979: no large sums of squares are subtracted.
    """
    count = 0
    mean = squares = torch.zeros(())
    for rows in strips:
        number = rows.shape[-2] * rows.shape[-1]
        if not number:
            continue
        moments = torch.var_mean(rows.float(), (2, 3), correction=0, keepdim=True)
        variance, strip_mean = (moment.double() for moment in moments)
        if not count:
            count, mean, squares = number, strip_mean, variance * number
            continue
        total = count + number
        shift = strip_mean - mean
        mean = mean + shift * (number / total)
        squares = squares + variance * number + shift.square() * (count * number / total)
        count = total
    return mean, squares / count
