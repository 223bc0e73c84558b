"""The scores of a sweep as rate-quality curves: images x points of each codec.

Columns are read when they are needed, so that 10^7 rows of 40 columns fit into memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.decision.pchip import Floats
from roi_ray.errors import ManifestError
from roi_ray.io.tables import TableFiles
from roi_ray.pipeline.run_record import Run

MISSING = -1
"""Row number of a cell that the scores lack, or that failed."""

SIZE = (schema.BYTES, "width", "height")
"""Columns from which a missing bit rate is computed."""

_CACHED_BYTES = 256 * 2**20


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
    """Scores of a sweep, read from an output of `roi-ray score` by `read_sweep_scores`.

    Attributes:
        uri: the output.
        base: folder that relative URIs in the rows are relative to; None if unknown.
        run: record of the run; None for tables that `roi-ray score` did not write.
        images: the `reference` of each image, as written, in the order of their first row.
        image_numbers: number of each row's image, (rows,); -1 without a reference.
        codecs: points of each codec, in alphabetical order.
        row_count: number of rows, failed ones included.
        failed_count: number of rows with an error.
        unnamed_count: number of other rows without a reference or a codec.
    """

    def __init__(
        self,
        files: TableFiles,
        base: str | None,
        run: Run | None,
        images: Sequence[str],
        image_numbers: NDArray[np.int32],
        codecs: Mapping[str, CodecPoints],
        failed_count: int,
        unnamed_count: int,
    ) -> None:
        self.uri, self.base, self.run = files.uri, base, run
        self.images = tuple(images)
        self.image_numbers = image_numbers
        self.codecs = dict(codecs)
        self.row_count = len(image_numbers)
        self.failed_count, self.unnamed_count = failed_count, unnamed_count
        self._files = files
        self._numbers: dict[str, Floats] = {}

    @cached_property
    def column_names(self) -> list[str]:
        """Names of all columns; `bpp` too where it is computed from the size of the files."""
        names = self._files.column_names
        return names if schema.BPP in names else [*names, schema.BPP]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Columns that measure quality and have numbers, in the order of `schema.Scores`.

        `schema.MEANINGS` has their direction.
        """
        names = [
            name
            for name, meaning in schema.MEANINGS.items()
            if meaning.better and name in self.column_names
        ]
        filled = self._files.find_filled(names)
        return tuple(name for name in names if name in filled)

    def column(self, name: str) -> pl.Series:
        """Read one column of all rows."""
        if name not in self._files.column_names:
            return pl.Series(name, self.numbers(name), nan_to_null=True)
        return pl.Series(name, self._files.read_columns([name])[name])

    def categories(self, name: str) -> tuple[NDArray[np.int32], list[str]]:
        """Read a column as texts that are each stored once.

        Returns:
            number of each row's text, (rows,), -1 where there is none; the texts.
        """
        return read_categories(self._files, [name])[name]

    def numbers(self, name: str) -> Floats:
        """Read one column of all rows as numbers, (rows,); NaN where there is none."""
        if name not in self._numbers:
            self.load([name])
        return self._numbers[name]

    def load(self, names: Iterable[str]) -> None:
        """Read several columns of numbers in one pass, as far as they fit into the cache."""
        fitting = max(_CACHED_BYTES // (8 * max(self.row_count, 1)), 1)
        names = [name for name in dict.fromkeys(names) if name not in self._numbers][:fitting]
        if not names:
            return
        while self._numbers and len(self._numbers) + len(names) > fitting:
            # The bit rate is needed with every metric.
            oldest = next((n for n in self._numbers if n != schema.BPP), schema.BPP)
            del self._numbers[oldest]
        for name, numbers in read_numbers(self._files, names).items():
            self._numbers[name] = numbers

    def values(self, codec: str, name: str) -> Floats:
        """Return a column by image and point, (images, K); NaN where there is no number."""
        numbers = self.numbers(name)
        rows = self.codecs[codec].rows
        found: Floats = np.where(rows == MISSING, np.nan, numbers[rows])
        return found

    def bit_rates(self, codec: str) -> Floats:
        """Return the bit rates, in bits per pixel, by image and point, (images, K)."""
        return self.values(codec, schema.BPP)

    def read_rows(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Read all columns of some rows."""
        found: list[dict[str, Any]] = self._files.read_numbered(rows).to_pylist()
        if schema.BPP not in self._files.column_names:
            rates = self.numbers(schema.BPP)[list(rows)]
            for row, rate in zip(found, rates.tolist(), strict=True):
                row[schema.BPP] = rate
        return found


def read_numbers(files: TableFiles, names: Sequence[str]) -> dict[str, Floats]:
    """Read columns as numbers, (rows,) each; NaN where there is none.

    `bpp` is computed from `bytes`, `width` and `height` if there is no such column.

    Raises:
        ManifestError: a column has texts that are not numbers.
    """
    wanted = [name for name in names if name in files.column_names]
    computed = schema.BPP in names and schema.BPP not in wanted
    table = files.read_columns([*wanted, *(SIZE if computed else ())])
    numbers = {name: _to_numbers(files.uri, name, table[name]) for name in wanted}
    if computed:
        size, width, height = (_to_numbers(files.uri, name, table[name]) for name in SIZE)
        with np.errstate(divide="ignore", invalid="ignore"):
            numbers[schema.BPP] = 8 * size / (width * height)
    return numbers


def read_categories(
    files: TableFiles, names: Sequence[str]
) -> dict[str, tuple[NDArray[np.int32], list[str]]]:
    """Read columns as texts; see `SweepScores.categories`."""
    table = files.read_columns(names, categories=names)
    found = {}
    for name in names:
        column = table[name].unify_dictionaries().combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        codes = pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
        values = column.dictionary.to_pylist()
        found[name] = _drop_missing(codes, values)
    return found


def _drop_missing(
    codes: NDArray[np.int32], values: list[Any]
) -> tuple[NDArray[np.int32], list[str]]:
    """Turn the numbers of null, NaN and empty texts into -1, and values into texts."""
    new = np.full(len(values) + 1, -1, np.int32)  # the last one is for -1
    texts: dict[str, int] = {}
    for code, value in enumerate(values):
        if value not in (None, "") and value == value:  # noqa: PLR0124 - NaN differs from itself
            text = f"{value:.12g}" if isinstance(value, float) else str(value)
            new[code] = texts.setdefault(text, len(texts))
    return new[codes], list(texts)


def _to_numbers(uri: str, name: str, column: pa.ChunkedArray) -> Floats:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
    try:
        column = column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ManifestError(f"{uri}: column {name!r} does not have numbers: {error}") from error
    numbers: Floats = pc.fill_null(column, np.nan).to_numpy()
    return numbers
