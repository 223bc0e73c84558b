"""Figures of a sweep: rate against quality per codec, and what the ROI mask covers."""

import io
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.imaging.pixels import Pixels8
from roi_ray.report.summary import ROI_BPP, describe_left_out


def draw_sweep_figure(
    means: pa.Table,
    reference: Pixels8,
    mask: NDArray[np.float32],
    name: str,
) -> bytes:
    """Draw the bit rate against each metric per codec, and one reference with its ROI mask.

    Metrics under the mask are drawn against the bit rate of the images that have a region of
    interest; if others are left out, a line below says how many.

    Args:
        means: means by codec and quality, from `roi_ray.report.summary.average_by_quality`.
        reference: sRGB pixels, uint8, (H, W, 3).
        mask: ROI mask, (H, W), in [0, 1].
        name: name of the reference, for the titles.

    Returns:
        A PNG.
    """
    columns = len(schema.BASIC_FEATURES)
    figure = Figure(figsize=(4 * (columns + 1), 7.6), layout="constrained")
    grid = figure.add_gridspec(2, columns + 1)
    for row, features in enumerate((schema.BASIC_FEATURES, schema.ROI_FEATURES)):
        for column, feature in enumerate(features):
            axes = figure.add_subplot(grid[row, column])
            bit_rate = ROI_BPP if feature in schema.ROI_FEATURES else schema.BPP
            _draw_curves(axes, means, bit_rate, feature, legend=row == column == 0)
    for row, (title, overlay) in enumerate(((name, None), (f"{name}, ROI mask", mask))):
        axes = figure.add_subplot(grid[row, columns])
        _draw_image(axes, reference, overlay)
        axes.set_title(title)
    if (left_out := describe_left_out(means)) is not None:
        figure.supxlabel(left_out, fontsize="medium")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


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
        _draw_image(figure.add_subplot(grid[1, column]), pixels, masks[name], bar=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    return buffer.getvalue()


def _draw_curves(axes: Axes, means: pa.Table, bit_rate: str, feature: str, *, legend: bool) -> None:
    known = pc.is_valid(means[feature])
    for codec in pc.unique(means[schema.CODEC]).to_pylist():
        # A codec without any number still takes its colour, so that all panels have the same ones.
        rows = means.filter(pc.and_(known, pc.equal(means[schema.CODEC], codec)))
        axes.plot(rows[bit_rate].to_numpy(), rows[feature].to_numpy(), marker="o", label=codec)
    if not pc.any(known).as_py():
        axes.text(0.5, 0.5, "no region of interest", ha="center", transform=axes.transAxes)
    meaning = schema.MEANINGS[feature]
    unit = f" [{meaning.unit}]" if meaning.unit not in ("", "1") else ""
    axes.set_title(f"{feature}{unit}, {meaning.better} is better")
    axes.set_xlabel("bits per pixel")
    axes.set_xscale("log")
    axes.set_xticks([0.125, 0.25, 0.5, 1, 2, 4], ["⅛", "¼", "½", "1", "2", "4"])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    if legend:
        axes.legend()


def _draw_image(
    axes: Axes, reference: Pixels8, mask: NDArray[np.float32] | None, *, bar: bool = True
) -> None:
    axes.imshow(reference)
    if mask is not None:
        overlay = axes.imshow(mask, cmap="inferno", alpha=0.55, vmin=0, vmax=1)
        if bar:
            axes.figure.colorbar(overlay, ax=axes, shrink=0.8)
    axes.axis("off")
