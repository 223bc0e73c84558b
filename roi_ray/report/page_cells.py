"""The cells of a sweep in the page: rows of its table and points of its scatter."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from roi_ray import schema
from roi_ray.decision.decide import Decision
from roi_ray.report.page_text import count, name_images, round_number

MAX_ROWS = 2_000
"""The most rows in the page's table."""

MAX_POINTS = 4_000
"""The most points in the page's scatter of two metrics."""

_ROW, _RANK = "_row", "_rank"


def build_cells(decision: Decision) -> dict[str, Any]:
    """Choose the cells of the table and of the scatter.

    The table has failed cells first, then cells by how far they are from the middle of all cells
    by the deciding metric, the most extreme ones first.

    Returns:
        JSON values: `images` and `codecs` are lists of names, to which `rows` and `points` refer by
        number; `columns` are the numeric columns; `rows` and `points` are columns by name.
    """
    frame = _read(decision)
    metrics = [name for name in decision.metrics if name in frame.columns]
    numbers = [schema.BPP, *metrics]
    numbers += [n for n in (schema.ENCODE_SECONDS, schema.DECODE_SECONDS) if n in frame.columns]
    failed = frame.filter(pl.col(schema.ERROR).is_not_null()).head(MAX_ROWS)
    scored = frame.filter(pl.col(schema.ERROR).is_null())
    extreme = _sort_by_extremity(scored, decision.metrics[0])
    rows = pl.concat([failed, extreme.head(MAX_ROWS - failed.height)])
    points = scored.drop_nulls(schema.BPP)
    if points.height > MAX_POINTS:
        points = points.sample(MAX_POINTS, seed=0).sort(_ROW)
    image_names = rows[schema.REFERENCE].append(points[schema.REFERENCE]).unique().sort().to_list()
    codecs = rows[schema.CODEC].append(points[schema.CODEC]).unique().sort().to_list()
    total = frame.height
    return {
        "images": name_images(image_names),
        "codecs": codecs,
        "columns": numbers,
        "rows": {
            **_refer(rows, image_names, codecs),
            **{name: _round(rows[name]) for name in numbers},
            schema.ERROR_KIND: rows[schema.ERROR_KIND].to_list(),
            schema.ERROR: rows[schema.ERROR].to_list(),
        },
        "points": {
            **_refer(points, image_names, codecs),
            **{name: _round(points[name]) for name in [schema.BPP, *metrics]},
        },
        "total": total,
        "rowNote": _describe_rows(rows.height, total),
        "pointNote": _describe_points(points.height, scored.height),
    }


def _read(decision: Decision) -> pl.DataFrame:
    scores = decision.scores
    wanted = [
        schema.REFERENCE,
        schema.CODEC,
        schema.TARGET_METRIC,
        schema.TARGET,
        schema.QUALITY,
        schema.BPP,
        *decision.metrics,
        schema.ENCODE_SECONDS,
        schema.DECODE_SECONDS,
        schema.ERROR_KIND,
        schema.ERROR,
    ]
    present = [name for name in dict.fromkeys(wanted) if name in scores.column_names]
    frame = pl.DataFrame([scores.column(name).alias(name) for name in present])
    missing = [name for name in schema.ERRORS if name not in present]
    empty = [pl.lit(None, pl.String).alias(name) for name in missing]
    kept = list(decision.codecs)
    return (
        frame.with_columns(*empty, _name_point(present).alias("point"))
        .with_row_index(_ROW)
        .filter(pl.col(schema.CODEC).is_in(kept) | pl.col(schema.ERROR).is_not_null())
    )


def _name_point(present: Sequence[str]) -> pl.Expr:
    if schema.TARGET_METRIC in present and schema.TARGET in present:
        return pl.format("{}={}", schema.TARGET_METRIC, pl.col(schema.TARGET).cast(pl.String))
    if schema.QUALITY in present:
        return pl.format("quality={}", schema.QUALITY)
    return pl.lit("")


def _sort_by_extremity(scored: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Sort cells by the distance of their rank from the middle rank, the largest first."""
    if metric not in scored.columns:
        return scored
    rank = pl.col(metric).rank("average")
    return (
        scored.with_columns((rank - rank.mean()).abs().alias(_RANK))
        .sort(_RANK, _ROW, descending=[True, False], nulls_last=True)
        .drop(_RANK)
    )


def _refer(frame: pl.DataFrame, images: Sequence[str], codecs: Sequence[str]) -> dict[str, Any]:
    image_number = {name: number for number, name in enumerate(images)}
    codec_number = {name: number for number, name in enumerate(codecs)}
    return {
        "image": [image_number[name] for name in frame[schema.REFERENCE]],
        "codec": [codec_number[name] for name in frame[schema.CODEC]],
        "point": frame["point"].to_list(),
    }


def _round(column: pl.Series) -> list[float | None]:
    values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return [round_number(float(value), 6) for value in values]


def _describe_rows(shown: int, total: int) -> str:
    if shown == total:
        return f"All {count(total, 'cell')} of the sweep."
    return (
        f"{shown:,} of {total:,} cells: failed ones first, then the best and the worst by the "
        "deciding metric. `roi-ray export` writes all of them."
    )


def _describe_points(shown: int, total: int) -> str:
    if shown == total:
        return f"All {count(total, 'scored cell')}."
    return f"A random sample of {shown:,} of {total:,} scored cells."
