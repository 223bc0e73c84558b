"""The scores of a sweep as rate-quality curves: images x points of each codec."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError, OutputError
from roi_ray.io.tables import read_table
from roi_ray.pipeline.run_record import Run, read_run

Floats = NDArray[np.float64]

MISSING = -1
"""Row number of a cell that the scores lack, or that failed."""


@dataclass(frozen=True)
class CodecPoints:
    """Where the cells of one codec are in the scores.

    Attributes:
        names: what was asked for at each point, such as `quality=35` or `bpp=0.5`, the lowest mean
            bit rate first; K points. Where the scores do not say (no `target` and no `quality`),
            `None`: points are then numbered by the bit rate of each image, and point 3 of one image
            has nothing to do with point 3 of another.
        rows: row number in the scores, `MISSING` where there is none, (images, K).
    """

    names: tuple[str, ...] | None
    rows: NDArray[np.int64]


class SweepScores:
    """Scores of a sweep, read from an output of `roi-ray score`.

    Attributes:
        uri: the output.
        base: folder that relative URIs in the rows are relative to; None if unknown.
        run: record of the run; None for tables that `roi-ray score` did not write.
        images: the `reference` of each image, as written, in the order of their first row.
        codecs: points of each codec, in alphabetical order.
        metrics: columns that measure quality (`schema.MEANINGS` has their direction) and have
            numbers, in the order of `schema.Scores`.
        row_count: number of rows, failed ones included.
    """

    def __init__(
        self,
        uri: str,
        base: str | None,
        run: Run | None,
        images: Sequence[str],
        codecs: Mapping[str, CodecPoints],
        frame: pl.DataFrame,
    ) -> None:
        self.uri, self.base, self.run = uri, base, run
        self.images = tuple(images)
        self.codecs = dict(codecs)
        self.row_count = frame.height
        self._frame = frame
        self.metrics = tuple(
            name
            for name, meaning in schema.MEANINGS.items()
            if meaning.better and name in frame.columns and frame[name].count() > 0
        )

    def column(self, name: str) -> pl.Series:
        """Read one column of all rows."""
        return self._frame[name]

    @property
    def column_names(self) -> list[str]:
        """Names of all columns of the scores."""
        return self._frame.columns

    def values(self, codec: str, name: str) -> Floats:
        """Return a column by image and point, (images, K); NaN where there is no number."""
        numbers = self._floats(name)
        rows = self.codecs[codec].rows
        found: Floats = np.where(rows == MISSING, np.nan, numbers[rows])
        return found

    def bit_rates(self, codec: str) -> Floats:
        """Return the bit rates, in bits per pixel, by image and point, (images, K)."""
        return self.values(codec, schema.BPP)

    def read_rows(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Read all columns of some rows."""
        return self._frame[list(rows)].to_dicts()

    @lru_cache(maxsize=4)  # noqa: B019 - an instance lives as long as the process
    def _floats(self, name: str) -> Floats:
        return self._frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


def read_sweep_scores(uri: str) -> SweepScores:
    """Read the scores of a sweep.

    Args:
        uri: folder or `s3://` prefix that `roi-ray score` has written to, or any table of scores
            (Parquet, CSV, JSON Lines) with the columns `reference`, `codec`, `bpp` and metrics.

    Raises:
        ManifestError: a column is missing, or a codec has two rows for the same image and point.
        StorageError: the scores cannot be read.
    """
    table, folder = read_table(uri, [schema.REFERENCE, schema.DISTORTED, schema.CODEC])
    frame = pl.DataFrame(table)
    for name in (schema.REFERENCE, schema.CODEC, schema.BPP):
        if name not in frame.columns:
            raise ManifestError(f"{uri} has no column {name!r}, which comparing codecs needs")
    try:
        run: Run | None = read_run(folder)
        base = None if run is None else run.get("manifest", {}).get("base")
    except OutputError:
        run, base = None, folder
    point = _name_points(frame)
    frame = frame.with_columns(point.alias("_point")) if point is not None else frame
    images = frame[schema.REFERENCE].unique(maintain_order=True).to_list()
    number_of = {image: number for number, image in enumerate(images)}
    image = frame[schema.REFERENCE].replace_strict(number_of, return_dtype=pl.Int64)
    frame = frame.with_columns(image.alias("_image")).with_row_index("_row")
    scored = (
        frame.filter(pl.col(schema.ERROR).is_null()) if schema.ERROR in frame.columns else frame
    )
    codecs = {
        str(codec): _find_points(part, len(images), point is not None)
        for (codec,), part in scored.sort(schema.CODEC).group_by(schema.CODEC, maintain_order=True)
    }
    return SweepScores(uri, base, run, images, codecs, frame)


def _name_points(frame: pl.DataFrame) -> pl.Series | None:
    """Name what was asked for in each row; None if the rows do not say."""
    if {schema.TARGET_METRIC, schema.TARGET} <= set(frame.columns):
        return frame.select(
            pl.format("{}={}", schema.TARGET_METRIC, pl.col(schema.TARGET).cast(pl.String))
        ).to_series()
    if schema.QUALITY in frame.columns:
        return frame.select(pl.format("quality={}", pl.col(schema.QUALITY))).to_series()
    return None


def _find_points(part: pl.DataFrame, images: int, named: bool) -> CodecPoints:
    if not named:
        part = part.with_columns(
            (pl.col(schema.BPP).rank("ordinal").over("_image") - 1).cast(pl.String).alias("_point")
        )
    order = part.group_by("_point").agg(pl.col(schema.BPP).mean()).sort(schema.BPP, "_point")
    names = order["_point"].to_list()
    column = part["_point"].replace_strict({name: i for i, name in enumerate(names)})
    rows = np.full((images, len(names)), MISSING, np.int64)
    rows[part["_image"].to_numpy(), column.to_numpy()] = part["_row"].to_numpy()
    if (rows != MISSING).sum() < part.height:
        raise ManifestError(
            f"codec {part[schema.CODEC][0]!r} has two rows for the same image and point: give each "
            "variant a name of its own in the column 'codec'"
        )
    return CodecPoints(tuple(names) if named else None, rows)
