"""The cells of a sweep that an export has, and their values column by column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.decision.score_table import MISSING, SweepScores
from roi_ray.errors import UsageError
from roi_ray.preference.comparisons.regions import is_empty


@dataclass(frozen=True)
class Selection:
    """Cells of a sweep that have scores.

    Attributes:
        scores: the scores.
        images: numbers of the images, ascending.
        rows: row number of each cell by codec, `MISSING` where there is none, (images, K).
    """

    scores: SweepScores
    images: NDArray[np.int64]
    rows: Mapping[str, NDArray[np.int64]]
    _columns: dict[str, pl.Series] = field(default_factory=dict, repr=False)

    @property
    def codecs(self) -> tuple[str, ...]:
        """The codecs, in the order of the export."""
        return tuple(self.rows)

    def read(self, codec: str, column: str) -> list[Any]:
        """Read a column of the cells of a codec that have scores, image by image."""
        if column not in self._columns:
            self._columns[column] = self.scores.column(column)
        rows = self.rows[codec]
        return self._columns[column].gather(rows[rows != MISSING]).to_list()

    def image_of_cells(self, codec: str) -> NDArray[np.int64]:
        """Return the number of the image of each cell that `read` returns."""
        cells, _ = np.nonzero(self.rows[codec] != MISSING)
        return self.images[cells]


def select_cells(
    scores: SweepScores, codecs: Sequence[str] | None = None, *, only_with_region: bool = False
) -> Selection:
    """Select cells to export.

    Args:
        scores: scores of a sweep.
        codecs: codecs to include; all by default.
        only_with_region: leave out images without a region of interest, whose numbers `roi_*` are
            null.

    Raises:
        UsageError: there is no such codec, or no cell is left.
    """
    if unknown := set(codecs or ()) - set(scores.codecs):
        known = ", ".join(scores.codecs)
        raise UsageError(f"the scores have no codec {min(unknown)!r}, but {known}")
    names = tuple(scores.codecs if codecs is None else dict.fromkeys(codecs))
    images = np.arange(len(scores.images))
    if only_with_region:
        if schema.ROI_FRACTION not in scores.column_names:
            raise UsageError("the scores do not say which images have a region of interest")
        for codec in names:
            fraction = scores.values(codec, schema.ROI_FRACTION)
            # A missing cell, NaN, says nothing.
            images = images[~is_empty(fraction)[images].any(axis=1)]
    rows = {codec: scores.codecs[codec].rows[images] for codec in names}
    if not any((numbers != MISSING).any() for numbers in rows.values()):
        raise UsageError("no cell with scores is left to export")
    return Selection(scores, images, rows)


def name_files(codecs: Sequence[str], suffix: str) -> dict[str, str]:
    """Name a file for each codec: its label, without characters that URLs or disks do not like."""
    names: dict[str, str] = {}
    for codec in codecs:
        safe = "".join(char if char.isalnum() or char in "._-=" else "_" for char in codec)
        safe = safe.lstrip("._") or "codec"
        name, number = f"{safe}{suffix}", 2
        while name.lower() in map(str.lower, names.values()):
            name, number = f"{safe}-{number}{suffix}", number + 1
        names[codec] = name
    return names


def describe_nulls(nulls: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Say which columns are left out of which codecs, one sentence for columns that go together.

    Args:
        nulls: number of cells with null, by column and codec.
    """
    columns: dict[tuple[str, ...], list[str]] = {}
    for column, codecs in nulls.items():
        columns.setdefault(tuple(codecs), []).append(column)
    sentences = [
        f"left out of {', '.join(codecs)}, because some cells have null: {', '.join(names)}"
        for codecs, names in columns.items()
    ]
    if any(column.startswith("roi_") for column in nulls):
        sentences.append(
            "numbers of the region stay if images without one are left out: add --only-with-region"
        )
    return sentences
