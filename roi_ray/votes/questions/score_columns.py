"""Read columns of scores as arrays: texts as numbers, because 10^6 texts fill memory."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io.columns import as_type
from roi_ray.io.tables import TableFiles

Codes = NDArray[np.int64]
Texts = tuple[str, ...]

METHOD = "method"
"""Column of scores with the name of the encoder at one setting; optional."""

_MISSING = -1


def read_codes(files: TableFiles, name: str) -> tuple[Codes, Texts]:
    """Read a column of texts.

    Returns:
        the number of each row's text, -1 where it is null or blank, (N,); and the texts.
    """
    column = files.read_columns([name], categories=[name])[name]
    column = column.unify_dictionaries().combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    numbers = pc.fill_null(column.indices, _MISSING).to_numpy(zero_copy_only=False)
    texts: dict[str, int] = {}
    values = ("" if value is None else str(value) for value in column.dictionary.to_pylist())
    renumbered = [
        texts.setdefault(text, len(texts)) if text.strip() else _MISSING for text in values
    ]
    codes: Codes = np.array([*renumbered, _MISSING], np.int64)[numbers.astype(np.int64)]
    return codes, tuple(texts)


def read_numbers(files: TableFiles, name: str) -> NDArray[np.float64]:
    """Read a column of numbers, NaN where it is null, (N,).

    Raises:
        ManifestError: it does not have numbers.
    """

    def fail(text: str) -> NoReturn:
        raise ManifestError(f"scores {files.uri}: {text}")

    column = as_type(files.read_columns([name]), name, pa.float64(), fail)[name]
    numbers: NDArray[np.float64] = pc.fill_null(column, np.nan).to_numpy()
    return numbers


def is_filled(files: TableFiles, name: str) -> NDArray[np.bool_]:
    """Mark the rows that have a text in a column, (N,); none if there is no such column.

    Raises:
        ManifestError: it has other values, such as a 0 for "no error".
    """
    if name not in files.column_names:
        return np.zeros(files.row_count, np.bool_)
    kind = files.read_columns([name]).schema.field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise ManifestError(f"scores {files.uri}: column {name!r} is of type {kind}, not text")
    marks: NDArray[np.bool_] = read_codes(files, name)[0] != _MISSING
    return marks


def read_methods(files: TableFiles) -> tuple[Codes, Texts]:
    """Name the method of each row: an encoder at one setting, such as `jpeg q80`.

    The name is in the column `method`. Without it, it is the codec and what was asked for:
    `target_metric` and `target`, as sweeps write them, or else `quality`.

    Returns:
        the number of each row's method, -1 where it has none, (N,); and the names.
    """
    names = set(files.column_names)
    if METHOD in names:
        return read_codes(files, METHOD)
    codec, codecs = read_codes(files, schema.CODEC)
    point, points = _read_points(files)
    pairs, codes = np.unique(codec * len(points) + point, return_inverse=True)
    named = zip(*(part.tolist() for part in np.divmod(pairs, len(points))), strict=True)
    methods: dict[str, int] = {}
    renumbered = [
        _MISSING if c == _MISSING else methods.setdefault(codecs[c] + points[p], len(methods))
        for c, p in named
    ]
    return np.array(renumbered, np.int64)[codes], tuple(methods)


def _read_points(files: TableFiles) -> tuple[Codes, Texts]:
    """Name what was asked for in each row, such as ` q80` or ` bpp=0.5`; "" if it is unknown."""
    names = set(files.column_names)
    metric, metrics = np.zeros(files.row_count, np.int64), [schema.QUALITY]
    value = read_numbers(files, schema.QUALITY) if schema.QUALITY in names else None
    if {schema.TARGET_METRIC, schema.TARGET} <= names:
        target = read_numbers(files, schema.TARGET)
        asked, asked_metrics = read_codes(files, schema.TARGET_METRIC)
        is_known = (asked != _MISSING) & np.isfinite(target)
        metrics += asked_metrics
        metric = np.where(is_known, asked + 1, metric)
        value = np.where(is_known, target, np.nan if value is None else value)
    if value is None:
        return metric, ("",)
    values, value_codes = np.unique(value, return_inverse=True)
    points, codes = np.unique(metric * len(values) + value_codes, return_inverse=True)
    metric_numbers, places = np.divmod(points, len(values))
    named = zip(metric_numbers.tolist(), values[places].tolist(), strict=True)
    return codes, tuple(_name_point(metrics[number], value) for number, value in named)


def _name_point(metric: str, value: float) -> str:
    if not np.isfinite(value):
        return ""
    return f" q{value:.6g}" if metric == schema.QUALITY else f" {metric}={value:.6g}"


def check_score_columns(files: TableFiles, measured: Sequence[str]) -> None:
    """Check that scores have rows, URIs, methods and a column that measures quality.

    Args:
        files: the scores.
        measured: the columns that measure quality.

    Raises:
        ManifestError: something is missing.
    """
    names = files.column_names
    has = f"; there are {', '.join(map(repr, names)) or 'none'}"
    for name in schema.URIS:
        if name not in names:
            raise ManifestError(f"scores {files.uri}: column {name!r} is missing{has}")
    if not measured:
        raise ManifestError(
            f"scores {files.uri}: no column measures quality; give an output of `roi-ray score`, "
            "which for a sweep is its folder 'scores'"
        )
    if not {METHOD, schema.CODEC} & set(names):
        raise ManifestError(
            f"scores {files.uri}: column {schema.CODEC!r} is missing, which says what made each "
            f"image: add it to the manifest, with {schema.QUALITY!r} or {METHOD!r}{has}"
        )
    if not files.row_count:
        raise ManifestError(f"scores {files.uri}: no rows")
