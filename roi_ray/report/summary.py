"""Summary of a sweep: mean scores by codec and quality."""

import pyarrow as pa
import pyarrow.compute as pc
from rich.table import Table

from roi_ray import schema

_AVERAGED = (schema.BPP, *schema.FEATURES)
_ARROWS = {"higher": "↑", "lower": "↓"}


def average_by_quality(scores: pa.Table) -> pa.Table:
    """Average the bit rate and the metrics of each codec at each quality.

    Args:
        scores: score rows of a sweep, with `codec`, `quality` and `bpp`. Rows with an error are
            left out.

    Returns:
        Columns `codec`, `quality`, `images` (number of scored images), `bpp` and the eight metrics,
        sorted by codec and quality.
    """
    scored = scores.filter(pc.is_null(scores[schema.ERROR]))
    means = scored.group_by([schema.CODEC, schema.QUALITY]).aggregate(
        [(schema.DISTORTED, "count"), *((name, "mean") for name in _AVERAGED)]
    )
    names = {f"{name}_mean": name for name in _AVERAGED} | {f"{schema.DISTORTED}_count": "images"}
    means = means.rename_columns([names.get(name, name) for name in means.column_names])
    means = means.select([schema.CODEC, schema.QUALITY, "images", *_AVERAGED])
    return means.sort_by([(schema.CODEC, "ascending"), (schema.QUALITY, "ascending")])


def build_summary_table(means: pa.Table) -> Table:
    """Format the means for a terminal; an arrow shows which direction is better."""
    table = Table(box=None, header_style="bold", pad_edge=False)
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


def _format_cell(name: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    two_digits = name == schema.BPP or schema.MEANINGS[name].unit == "dB"
    return f"{value:.{2 if two_digits else 4}f}"
