"""The scores of a few images of one original, for a terminal."""

from collections.abc import Sequence

from roi_ray import schema
from roi_ray.runtime.logs import escape_line
from roi_ray.schema import Scores
from roi_ray.settings import Settings

_HEADER = ("PSNR", "MS-SSIM", "LPIPS", "D loss")
_SHORT = {"ssimulacra2": "SSIMU2"}
"""Heading of a metric on request whose name is too long for a narrow column."""
_TWO_DECIMALS = ("psnr", "ssimulacra2")
_LEGEND = (
    "Higher is better: PSNR (dB, at most 100) and MS-SSIM (at most 1).\n"
    "Lower is better: LPIPS and D loss (discriminator loss, nat).\n"
    "ROI: mean of the mask, the share of the image inside the region of interest."
)
_NO_REGION = "No region of interest: the mask is empty, so that nothing is measured under it (-)."
_MEAN = "Values of the region depend on ROI; --roi-weighting normalised divides by it."


def format_scores(images: Sequence[tuple[str, Scores | None]], settings: Settings) -> str:
    """Format the scores: one line per image, its name last so that it may have any length.

    Args:
        images: name and scores of each image; or why it has none, and None.
        settings: settings of the scores.
    """
    optional = settings.metrics
    whole = (*schema.BASIC_FEATURES, *optional)
    columns = (*whole, *(f"roi_{name}" for name in whole), "roi_fraction")
    rows = [
        ["-" if scores is None else _format(name, getattr(scores, name)) for name in columns]
        for _, scores in images
    ]
    headings = [*_HEADER, *(_SHORT.get(name, name) for name in optional)]
    header = [*headings, *headings, "ROI"]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    count = len(whole)

    def join(cells: Sequence[str]) -> str:
        # Leave wider gaps between the whole image, the region of interest, and its share.
        cells = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return "   ".join(["  ".join(cells[:count]), "  ".join(cells[count:-1]), cells[-1]])

    start = len("  ".join(" " * width for width in widths[:count])) + 3
    lines = [f"{'whole image'.ljust(start)}region of interest", f"{join(header)}  image"]
    lines += [
        f"{join(row)}  {escape_line(text)}" for row, (text, _) in zip(rows, images, strict=True)
    ]
    lines += ["", _LEGEND]
    for name, heading in zip(optional, headings[len(_HEADER) :], strict=True):
        meaning = schema.MEANINGS[name]
        lines.append(f"{str(meaning.better).capitalize()} is better: {heading} ({meaning.text}).")
    if any(scores is not None and scores.roi_psnr is None for _, scores in images):
        lines.append(_NO_REGION)
    elif settings.roi_weighting == "mean":
        lines.append(_MEAN)
    return "\n".join(lines)


def _format(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.{2 if name.removeprefix('roi_') in _TWO_DECIMALS else 4}f}"
