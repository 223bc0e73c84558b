"""Picture of what the ROI mask covers, for the report of a saliency network's training."""

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from roi_ray.imaging.pixels import Pixels8


def draw_mask_figure(
    photos: Mapping[str, Pixels8], masks: Mapping[str, NDArray[np.float32]]
) -> bytes:
    """Draw photographs in one row, and the same with their ROI masks in the row below.

    Args:
        photos: sRGB pixels by name, uint8, (H, W, 3).
        masks: ROI masks by the same names, (H, W), in [0, 1].

    Returns:
        A PNG.
    """
    figure = Figure(figsize=(2.6 * len(photos), 4.6), layout="constrained")
    grid = figure.add_gridspec(2, len(photos))
    for column, (name, pixels) in enumerate(photos.items()):
        axes = figure.add_subplot(grid[0, column])
        _draw_image(axes, pixels, None)
        axes.set_title(name, fontsize=9)
        _draw_image(figure.add_subplot(grid[1, column]), pixels, masks[name])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    return buffer.getvalue()


def _draw_image(axes: Axes, pixels: Pixels8, mask: NDArray[np.float32] | None) -> None:
    axes.imshow(pixels)
    if mask is not None:
        axes.imshow(mask, cmap="inferno", alpha=0.55, vmin=0, vmax=1)
    axes.axis("off")
