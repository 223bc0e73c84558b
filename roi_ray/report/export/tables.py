"""Scores and BD-rates as CSV. Null is an empty field, and texts are in quotes."""

import mmap
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from roi_ray import schema
from roi_ray.decision.decide import Decision
from roi_ray.decision.flags import Flag
from roi_ray.decision.savings import Saving
from roi_ray.decision.score_table import SweepScores
from roi_ray.io.tables import find_table_files
from roi_ray.report.export.files import Content

SCORES_CSV = "scores.csv"
BD_RATES_CSV = "bd_rates.csv"
IMAGES_CSV = "bd_rates_by_image.csv"

_ESTIMATES = ("mean", "median", "curve")
_PIECE_ROWS = 100_000

_BD_RATES: dict[str, Any] = {
    "codec": pl.String,
    "anchor": pl.String,
    "metric": pl.String,
    **{f"{name}{end}": pl.Float64 for name in _ESTIMATES for end in ("_percent", "_low", "_high")},
    "valid_images": pl.Int64,
    "images": pl.Int64,
    "reason": pl.String,
    "curve_reason": pl.String,
    **{f"images_{flag.name.lower()}": pl.Int64 for flag in Flag},
}
"""Columns of `bd_rates.csv`: a row per codec and metric. The last ones count the images without a
valid BD-rate, by reason."""

_IMAGES: dict[str, Any] = {
    schema.REFERENCE: pl.String,
    "codec": pl.String,
    "anchor": pl.String,
    "metric": pl.String,
    "bd_rate_percent": pl.Float64,
}
"""Columns of `bd_rates_by_image.csv`: a row per image, codec and metric."""


def make_tables(decision: Decision, codecs: Sequence[str] | None = None) -> dict[str, Content]:
    """Make the files of an export.

    Args:
        decision: the BD-rates; its scores are exported, failed rows included.
        codecs: codecs whose rows are exported; all by default.

    Returns:
        content of each file by its name.
    """
    savings = decision.savings.values()
    return {
        SCORES_CSV: _format_scores(decision.scores, codecs),
        BD_RATES_CSV: _format((_describe(decision.anchor, each) for each in savings), _BD_RATES),
        IMAGES_CSV: _format(
            (row for each in savings for row in _list_images(decision, each)), _IMAGES
        ),
    }


def _format_scores(scores: SweepScores, codecs: Sequence[str] | None) -> memoryview:
    """Format rows piece by piece in a temporary file, because memory may not hold all of them."""
    table = find_table_files(scores.uri, (schema.REFERENCE, schema.DISTORTED, schema.CODEC))
    with tempfile.TemporaryFile() as file:
        has_header = False
        for piece in table.read_pieces(table.row_count, _PIECE_ROWS):
            rows = pl.DataFrame(piece)
            if codecs is not None:
                rows = rows.filter(pl.col(schema.CODEC).is_in(list(codecs)))
            rows.write_csv(file, include_header=not has_header, quote_style="non_numeric")
            has_header = True
        file.flush()
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _describe(anchor: str, saving: Saving) -> list[Any]:
    estimates = [getattr(saving, name) for name in _ESTIMATES]
    return [
        saving.codec,
        anchor,
        saving.metric,
        *(
            estimate and getattr(estimate, end)
            for estimate in estimates
            for end in ("value", "low", "high")
        ),
        saving.valid,
        len(saving.per_image),
        saving.reason,
        saving.curve_flag,
        *(saving.flags.get(flag, 0) for flag in Flag),
    ]


def _list_images(decision: Decision, saving: Saving) -> Iterable[list[Any]]:
    for image, percent in zip(decision.scores.images, saving.per_image.tolist(), strict=True):
        valid = None if np.isnan(percent) else percent
        yield [image, saving.codec, decision.anchor, saving.metric, valid]


def _format(rows: Iterable[list[Any]], columns: dict[str, Any]) -> bytes:
    frame = pl.DataFrame(list(rows), schema=columns, orient="row")
    return frame.write_csv(quote_style="non_numeric").encode()
