"""Columns of scores as data frames in which texts are numbers, because 10^7 texts fill memory."""

from collections.abc import Sequence

import polars as pl

from roi_ray import schema
from roi_ray.decision.score_table import SweepScores

_TEXTS = (
    schema.REFERENCE,
    schema.CODEC,
    schema.TARGET_METRIC,
    schema.PROCESSOR,
    schema.CODEC_VERSION,
)
"""Columns of texts that many rows share."""

MAX_EXAMPLES = 3
"""The most examples of a finding."""


class ScoreColumns:
    """Columns of scores; those of texts are numbers until `decode` makes them texts again.

    Attributes:
        scores: the scores.
    """

    def __init__(self, scores: SweepScores) -> None:
        self.scores = scores
        self._numbers: dict[str, pl.Series] = {}
        self._texts: dict[str, Sequence[str]] = {}

    def has(self, *names: str) -> bool:
        """Return whether the scores have all of some columns."""
        return set(names) <= set(self.scores.column_names)

    def read(self, *names: str) -> pl.DataFrame:
        """Read columns of all rows; texts that many rows share are numbers, or null."""
        return pl.DataFrame([self._read(name) for name in names])

    def decode(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace the numbers of texts by the texts, in rows that `read` returned."""
        texts = [name for name in frame.columns if name in _TEXTS and frame[name].dtype == pl.Int32]
        return frame.with_columns(self._decode(frame[name]) for name in texts)

    def name_cells(self, rows: pl.Series) -> tuple[str, ...]:
        """Name the first few of some cells by their distorted images.

        Args:
            rows: row numbers.
        """
        found = self.scores.read_rows(rows.head(MAX_EXAMPLES).to_list())
        return tuple(str(row.get(schema.DISTORTED)) for row in found)

    def _read(self, name: str) -> pl.Series:
        if name not in _TEXTS:
            return self.scores.column(name).alias(name)
        if name not in self._numbers:
            if name == schema.REFERENCE:
                numbers, self._texts[name] = self.scores.image_numbers, self.scores.images
            else:
                numbers, self._texts[name] = self.scores.categories(name)
            series = pl.Series(name, numbers)
            self._numbers[name] = series.to_frame().select(
                pl.when(pl.col(name) >= 0).then(pl.col(name))
            )[name]
        return self._numbers[name]

    def _decode(self, numbers: pl.Series) -> pl.Series:
        texts = self._texts[numbers.name]
        found = [None if number is None else texts[number] for number in numbers.to_list()]
        return pl.Series(numbers.name, found, pl.String)
