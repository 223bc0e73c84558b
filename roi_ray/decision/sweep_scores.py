"""Read the scores of a sweep, and find the cells of each codec in them."""

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.decision.pchip import Floats
from roi_ray.decision.score_table import (
    MISSING,
    SIZE,
    CodecPoints,
    SweepScores,
    read_categories,
    read_numbers,
)
from roi_ray.errors import ManifestError, OutputError
from roi_ray.io import storage
from roi_ray.io.tables import TableFiles, find_table_files
from roi_ray.pipeline.run_record import RUN_JSON, Run, read_run, written_by
from roi_ray.pipeline.status import CELLS

Codes = NDArray[np.int32]

_SCORES = "scores"
_UNNAMED = -1


def read_sweep_scores(uri: str) -> SweepScores:
    """Read the scores of a sweep.

    Args:
        uri: folder or `s3://` prefix that `roi-ray score` has written to, or any table of scores
            (Parquet, CSV, JSON Lines) with the columns `reference`, `codec`, `bpp` (or `bytes`,
            `width` and `height`) and metrics. What was asked for at each point is read from
            `target_metric` and `target`, or from `quality`.

    Raises:
        ManifestError: a column is missing, or a codec has two rows for the same image and point.
        StorageError: the scores cannot be read.
    """
    uri = storage.absolute(uri)
    _check_is_no_sweep(uri)
    files = find_table_files(uri, [schema.REFERENCE, schema.DISTORTED, schema.CODEC])
    _check_columns(files)
    names = files.column_names
    texts = [schema.REFERENCE, schema.CODEC]
    texts += [name for name in (schema.ERROR, schema.TARGET_METRIC) if name in names]
    categories = read_categories(files, texts)
    image_numbers, images = categories[schema.REFERENCE]
    codec_numbers, codecs = categories[schema.CODEC]
    failed = np.zeros(len(image_numbers), np.bool_)
    if schema.ERROR in names:
        failed = categories[schema.ERROR][0] >= 0
    usable = ~failed & (image_numbers >= 0) & (codec_numbers >= 0)
    points, point_names = _name_points(files, categories.get(schema.TARGET_METRIC))
    rates = read_numbers(files, [schema.BPP])[schema.BPP]
    order = np.argsort(codec_numbers, kind="stable")
    ends = np.searchsorted(codec_numbers[order], np.arange(len(codecs) + 1))
    cells = _Cells(image_numbers, images, points, point_names, rates)
    found = {}
    for number in sorted(range(len(codecs)), key=codecs.__getitem__):
        rows = order[ends[number] : ends[number + 1]]
        if (rows := rows[usable[rows]]).size:
            found[codecs[number]] = cells.find(codecs[number], rows)
    base, run = _read_record(files)
    counts = int(failed.sum()), int((~failed & ~usable).sum())
    return SweepScores(files, base, run, images, image_numbers, found, *counts)


def _check_is_no_sweep(uri: str) -> None:
    """Raise ManifestError if the folder is a sweep, and say where its scores are."""
    if not storage.is_folder(uri):
        return
    try:
        is_cells = written_by(read_run(uri, command=None)) == "sweep"
    except OutputError:
        is_cells = False
    sweep = storage.parent(uri) if is_cells else uri
    if not is_cells and not storage.is_file(storage.join(uri, CELLS, *RUN_JSON)):
        return
    scores = storage.join(sweep, _SCORES)
    if storage.is_file(storage.join(scores, *RUN_JSON)):
        raise ManifestError(f"{uri} is a sweep, not scores: name its scores, {scores}")
    raise ManifestError(
        f"{uri} is a sweep that has not been scored: run `roi-ray score "
        f"{storage.join(sweep, 'manifest.parquet')} --output {scores}` and name that output"
    )


def _check_columns(files: TableFiles) -> None:
    names = files.column_names
    has = f"; it has {', '.join(map(repr, names)) or 'no column'}"
    for name in (schema.REFERENCE, schema.CODEC):
        if name not in names:
            raise ManifestError(
                f"{files.uri} has no column {name!r}, which comparing codecs needs{has}"
            )
    if schema.BPP not in names and not set(SIZE) <= set(names):
        raise ManifestError(
            f"{files.uri} has no column {schema.BPP!r} (bits per pixel), nor {', '.join(SIZE)} to "
            f"compute it from{has}"
        )
    if not files.row_count:
        raise ManifestError(f"{files.uri} has no rows")


def _read_record(files: TableFiles) -> tuple[str | None, Run | None]:
    """Return the folder that relative URIs are relative to, and the record of the run."""
    try:
        run = read_run(files.base)
    except OutputError:
        return files.base, None
    return run["manifest"].get("base"), run


def _name_points(
    files: TableFiles, target_metric: tuple[Codes, list[str]] | None
) -> tuple[Codes, list[str]]:
    """Number what was asked for in each row; `_UNNAMED` where the row does not say."""
    names = files.column_names
    metrics: list[str] = [schema.QUALITY]
    values = None
    if target_metric is not None and schema.TARGET in names:
        metric_numbers, metrics = target_metric
        values = schema.TARGET
    elif schema.QUALITY in names:
        metric_numbers, values = np.zeros(files.row_count, np.int32), schema.QUALITY
    if values is None:
        return np.full(files.row_count, _UNNAMED, np.int32), []
    numbers, texts = read_categories(files, [values])[values]
    pairs = metric_numbers.astype(np.int64) * max(len(texts), 1) + numbers
    pairs[(metric_numbers < 0) | (numbers < 0)] = _UNNAMED
    used, codes = _renumber(pairs)
    point_names = [f"{metrics[pair // len(texts)]}={texts[pair % len(texts)]}" for pair in used]
    return codes, point_names


def _renumber(pairs: NDArray[np.int64]) -> tuple[list[int], Codes]:
    """Number the values that occur; return them, and the number of each; `_UNNAMED` stays."""
    used = np.flatnonzero(np.bincount(pairs[pairs >= 0], minlength=1))
    new = np.full((used.max() if used.size else 0) + 2, _UNNAMED, np.int32)
    new[used] = np.arange(len(used))
    return used.tolist(), new[pairs]


class _Cells:
    """Rows of a sweep by image and point.

    Args:
        image_numbers: number of each row's image, (rows,).
        images: the images.
        points: number of what was asked for in each row, (rows,).
        point_names: what that is.
        rates: bit rate of each row, (rows,).
    """

    def __init__(
        self,
        image_numbers: Codes,
        images: list[str],
        points: Codes,
        point_names: list[str],
        rates: Floats,
    ) -> None:
        self._image_numbers, self._images = image_numbers, images
        self._points, self._point_names, self._rates = points, point_names, rates

    def find(self, codec: str, rows: NDArray[np.int64]) -> CodecPoints:
        """Find the cells of one codec among its rows."""
        if (self._points[rows] == _UNNAMED).any():
            return CodecPoints(None, self._arrange(codec, rows, self._rank_by_rate(rows), None))
        points = self._points[rows]
        rates = self._rates[rows]
        known = np.isfinite(rates)
        size = len(self._point_names)
        sums = np.bincount(points[known], rates[known], size)
        counts = np.bincount(points[known], minlength=size)
        means = np.divide(sums, counts, out=np.full(size, np.inf), where=counts > 0)
        used = sorted(np.unique(points).tolist(), key=lambda p: (means[p], self._point_names[p]))
        column_of = np.zeros(size, np.int64)
        column_of[used] = np.arange(len(used))
        names = tuple(self._point_names[point] for point in used)
        return CodecPoints(names, self._arrange(codec, rows, column_of[points], names))

    def _rank_by_rate(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number the rows of each image by their bit rate."""
        images = self._image_numbers[rows]
        order = np.lexsort((self._rates[rows], images))
        first = np.searchsorted(images[order], images[order])
        ranks = np.empty(len(rows), np.int64)
        ranks[order] = np.arange(len(rows)) - first
        return ranks

    def _arrange(
        self,
        codec: str,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        names: tuple[str, ...] | None,
    ) -> NDArray[np.int64]:
        found = np.full((len(self._images), columns.max() + 1), MISSING, np.int64)
        images = self._image_numbers[rows]
        found[images, columns] = rows
        repeated = np.flatnonzero(found[images, columns] != rows)
        if repeated.size:
            first = repeated[0]
            where = "" if names is None else f" at {names[columns[first]]}"
            raise ManifestError(
                f"codec {codec!r} has two rows for the image {self._images[images[first]]}{where}: "
                "give each variant of a codec a name of its own in the column 'codec'"
            )
        return found
