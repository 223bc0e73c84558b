"""Bilinear resizing of images that come in strips, as `interpolate` of torch resizes whole ones."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from roi_ray.metrics.images import Strip


def shrink_rows(strips: Iterable[tuple[Strip, Tensor]], height: int, rows: int) -> Tensor:
    """Resize the rows of an image, antialiased.

    Args:
        strips: all strips of the image, (..., strip's rows, W), from top to bottom.
        height: height of the image.
        rows: rows of the result.

    Returns:
        float32, (..., rows, W): `interpolate(mode="bilinear", antialias=True)`.
    """
    scale = height / rows
    support = max(scale, 1.0)  # of the triangular filter, to both sides
    centers = ((torch.arange(rows, dtype=torch.float64) + 0.5) * scale).tolist()
    firsts = [max(0, int(center - support + 0.5)) for center in centers]
    ends = [min(height, int(center + support + 0.5)) for center in centers]
    weights = []
    for center, first, end in zip(centers, firsts, ends, strict=True):
        distances = torch.arange(first, end, dtype=torch.float64) + 0.5 - center
        triangle = (1 - distances.abs() / support).clamp(min=0)
        weights.append((triangle / triangle.sum()).float())
    result: Tensor | None = None
    for strip, values in strips:
        if result is None:
            result = values.new_zeros(*values.shape[:-2], rows, values.shape[-1])
        for row in range(rows):
            start, end = max(firsts[row], strip.start), min(ends[row], strip.end)
            if start < end:
                part = values[..., start - strip.start : end - strip.start, :]
                weight = weights[row][start - firsts[row] : end - firsts[row]].to(values)
                result[..., row, :] += (part * weight[:, None]).sum(-2)
    assert result is not None
    return result


def enlarge_rows(values: Tensor, rows: Strip, width: int) -> Tensor:
    """Compute some rows of an enlarged image.

    Args:
        values: float32, (N, C, h, w).
        rows: the rows, of all rows of the result.
        width: width of the result.

    Returns:
        (N, C, number of rows, width): rows of `interpolate(mode="bilinear")`.
    """
    height = values.shape[-2]
    numbers = torch.arange(rows.start, rows.end, dtype=torch.float64, device=values.device)
    positions = ((numbers + 0.5) * (height / rows.height) - 0.5).clamp(min=0)
    upper = positions.floor().long()
    lower = (upper + 1).clamp(max=height - 1)
    first, end = int(upper[0]), int(lower[-1]) + 1
    wide = F.interpolate(values[..., first:end, :], size=(end - first, width), mode="bilinear")
    fraction = (positions - upper).to(values.dtype)[:, None]
    above, below = wide[..., upper - first, :], wide[..., lower - first, :]
    return torch.lerp(above, below, fraction)
