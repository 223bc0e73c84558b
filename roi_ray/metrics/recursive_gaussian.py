"""The Gaussian filter of SSIMULACRA2: recursive, by three truncated cosines.

D. Charalampidis, "Recursive Implementation of the Gaussian Filter Using Truncated Cosine
Functions", IEEE Transactions on Signal Processing 64(14), 2016, with a standard deviation of 1.5
pixels, and zeros outside the image.

In exact arithmetic it equals 9 x 9 fixed taps (`gaussian_taps`). But its recursion never forgets a
rounding error, and in float32 the errors of the reference tool add up along rows and columns: they
take up to 1.2 points from the score of a flat image at high quality. To give the tool's numbers,
`Blur` rounds as the tool does: it recurses, four columns at a time across and then row by row down.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.gaussian import filter_exactly
from roi_ray.metrics.images import Strip
from roi_ray.metrics.multiply_add import has_fused_kernels
from roi_ray.metrics.recursion import (
    ROWS_AHEAD,
    ColumnFilter,
    ColumnWindows,
    filter_across,
    gaussian_taps,
)
from roi_ray.metrics.roi import MaskRows, MaskView
from roi_ray.metrics.strips import RowBuffer

_ROW_PIXELS = 1 << 13
"""Pixels of rows that are filtered at once on a CPU: torch splits the operations on more among
threads, which takes longer than such small operations themselves."""


class Blur:
    """Averages images that come in strips over the Gaussian window; zeros surround the images.

    It keeps the rows that the window sees again, and the state of the recursion, so that every
    number is that of the whole image.
    """

    def __init__(self) -> None:
        self._columns: list[ColumnFilter] = []
        self._windows = ColumnWindows()
        self._state: Tensor | None = None

    def push(self, planes: Tensor, is_last: bool) -> Tensor:
        """Add the next rows of the images.

        Args:
            planes: float32, (N, C, rows, W); may have no rows.
            is_last: whether these are the last rows of the images.

        Returns:
            the next rows of the means, (N, C, h, W): `ROWS_AHEAD` rows late, until the last ones.
        """
        if has_fused_kernels(planes):
            return self._push_to_kernels(planes, is_last)
        width = planes.shape[-1]
        lines = planes.flatten(0, 1)
        count = max(1, len(lines) if planes.is_cuda else _ROW_PIXELS // width)
        groups = [lines[start : start + count] for start in range(0, max(1, len(lines)), count)]
        if not self._columns:
            self._columns = [ColumnFilter() for _ in groups]
        means = [
            columns.push(filter_across(group), is_last)
            for columns, group in zip(self._columns, groups, strict=True)
        ]
        return torch.cat(means).view(*planes.shape[:2], means[0].shape[1], width)

    def _push_to_kernels(self, planes: Tensor, is_last: bool) -> Tensor:
        from roi_ray.metrics.compiled.blur import filter_across, filter_down, make_state

        window = self._windows.push(filter_across(planes), is_last)
        if window is None:
            return planes[..., :0, :]
        if self._state is None:
            self._state = make_state(window.rows)
        return filter_down(window, self._state)


def blur(planes: Tensor) -> Tensor:
    """Average over the Gaussian window; the image is surrounded by zeros.

    Args:
        planes: float32, (N, C, H, W).

    Returns:
        (N, C, H, W).
    """
    return Blur().push(planes, is_last=True)


class RowDelay:
    """Holds back rows of images that come in strips until `Blur` gives their means."""

    def __init__(self) -> None:
        self._rows = RowBuffer(ROWS_AHEAD + 1, padding_below=ROWS_AHEAD)

    def push(self, rows: Tensor, is_last: bool) -> Tensor:
        """Add the next rows, (..., rows, W); take those whose means `Blur` gives now."""
        window = self._rows.push(rows, is_last)
        if window is None:
            return rows[..., :0, :]
        return window.rows[..., : window.rows.shape[-2] + window.below - ROWS_AHEAD, :]


@dataclass(frozen=True)
class RecursiveGaussianView(MaskView):
    """View through the filter: a position of a map summarises the pixels under its window.

    At the border the weights are divided by the window's part inside the image, so that a mask of
    ones gives ones.
    """

    def resize(self, mask: Tensor, height: int, width: int) -> Tensor:
        """See `MaskView.resize`; the mask is averaged over the window around each position."""
        mask = super().resize(mask, height, width)
        return self._average(mask, above=ROWS_AHEAD, below=ROWS_AHEAD)

    def resize_rows(self, mask: MaskRows, rows: Strip, width: int) -> Tensor:
        """See `MaskView.resize_rows`."""
        first, end = rows.start - ROWS_AHEAD, rows.end + ROWS_AHEAD
        seen = Strip(max(0, first), min(end, rows.height), rows.height)
        cells = super().resize_rows(mask, seen, width)
        return self._average(cells, above=seen.start - first, below=end - seen.end)

    @staticmethod
    def _average(mask: Tensor, above: int, below: int) -> Tensor:
        """Average a mask, (N, h, w), over the window, with rows outside the map above and below."""
        padding = (ROWS_AHEAD, ROWS_AHEAD, above, below)
        weights, ones = (
            filter_exactly(F.pad(each, padding), gaussian_taps())
            for each in (mask, torch.ones_like(mask[:1]))
        )
        return weights / ones
