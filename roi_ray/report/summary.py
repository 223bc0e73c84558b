"""Summary of a sweep: mean scores by codec and quality.

Images without a region of interest have no numbers under the mask. The means under the mask are
then those of fewer images, which may have another bit rate: `roi_images` says how many images there
are, and `roi_bpp` is their bit rate.
"""

import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table

from roi_ray import schema

IMAGES = "images"
ROI_IMAGES = "roi_images"
ROI_BPP = "roi_bpp"

_COLUMNS = {
    schema.CODEC: schema.CODEC,
    schema.QUALITY: schema.QUALITY,
    IMAGES: f"{schema.DISTORTED}_count",
    schema.BPP: f"{schema.BPP}_mean",
    **{name: f"{name}_mean" for name in schema.BASIC_FEATURES},
    ROI_IMAGES: f"{ROI_BPP}_count",
    ROI_BPP: f"{ROI_BPP}_mean",
    **{name: f"{name}_mean" for name in schema.ROI_FEATURES},
}
"""Columns of the means, and what Arrow calls them."""

_ARROWS = {"higher": "↑", "lower": "↓"}
_NO_MEAN = "-"


def average_by_quality(scores: pa.Table) -> pa.Table:
    """Average the bit rate and the metrics of each codec at each quality.

    Args:
        scores: score rows of a sweep, with `codec`, `quality` and `bpp`. Rows with an error are
            left out.

    Returns:
        Columns `codec`, `quality`, `images` (number of scored images), `bpp` and the four basic
        metrics; then, of the images with a region of interest, `roi_images` (their number),
        `roi_bpp` and the four metrics under the mask, null where no image has one. Sorted by codec
        and quality.
    """
    scored = scores.filter(pc.is_null(scores[schema.ERROR]))
    scored = scored.append_column(ROI_BPP, _bit_rate_with_region(scored))
    means = scored.group_by([schema.CODEC, schema.QUALITY]).aggregate(
        [
            (schema.DISTORTED, "count"),
            (ROI_BPP, "count"),
            *((name, "mean") for name in (schema.BPP, ROI_BPP, *schema.FEATURES)),
        ]
    )
    means = pa.table({name: means[arrow_name] for name, arrow_name in _COLUMNS.items()})
    return means.sort_by([(schema.CODEC, "ascending"), (schema.QUALITY, "ascending")])


def count_without_region(means: pa.Table) -> int:
    """Count the images behind means that have no region of interest."""
    images, with_region = (sum(means[name].to_pylist()) for name in (IMAGES, ROI_IMAGES))
    return int(images - with_region)


def describe_left_out(means: pa.Table) -> str | None:
    """Tell how many images the means under the mask leave out; None if they leave out none."""
    if not (count := count_without_region(means)):
        return None
    return (
        f"{count} of {sum(means[IMAGES].to_pylist())} images have no region of interest: the roi_ "
        "numbers are means over the others"
    )


def build_summary_table(means: pa.Table) -> Table:
    """Format the means for a terminal; an arrow shows which direction is better.

    `roi_images` and `roi_bpp` are shown only if some images have no region of interest.
    """
    left_out = describe_left_out(means)
    table = Table(
        box=None, header_style="bold", pad_edge=False, caption=left_out, caption_justify="left"
    )
    if left_out is None:
        means = means.drop_columns([ROI_IMAGES, ROI_BPP])
    for name in means.column_names:
        meaning = schema.MEANINGS.get(name)
        arrow = _ARROWS[meaning.better] if meaning and meaning.better else ""
        table.add_column(
            f"{name}{arrow}",
            justify="left" if name == schema.CODEC else "right",
            no_wrap=True,
        )
    for row in means.to_pylist():
        table.add_row(*(_format_cell(name, value) for name, value in row.items()))
    return table


def _bit_rate_with_region(scored: pa.Table) -> pa.ChunkedArray:
    """Select the bit rate of images with numbers under the mask; null for the others."""
    has_region = pc.is_valid(scored[schema.ROI_FEATURES[0]])
    return pc.if_else(has_region, scored[schema.BPP], pa.scalar(None, scored[schema.BPP].type))


def _format_cell(name: str, value: object) -> str:
    if value is None:
        return _NO_MEAN
    if not isinstance(value, float):
        return str(value)
    if name == schema.QUALITY:
        return f"{value:g}"
    two_digits = name in (schema.BPP, ROI_BPP) or schema.MEANINGS[name].unit == "dB"
    return f"{value:.{2 if two_digits else 4}f}"
