"""Read the images of scores: their original, method and numbers, without their URIs."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io.tables import TableFiles
from roi_ray.preference.comparisons.features import list_features
from roi_ray.preference.comparisons.table import canonical_uri
from roi_ray.votes.questions.collected import telling_columns
from roi_ray.votes.questions.score_columns import (
    METHOD,
    Codes,
    Texts,
    check_score_columns,
    is_filled,
    read_codes,
    read_methods,
    read_numbers,
)

_MS_SSIM = "ms_ssim"

FAILED = "images with an error"
UNNAMED = "rows without an image, a codec or a method"
AGAIN = "images that other methods have too (the first method counts)"


@dataclass(frozen=True, eq=False)
class ScoreImages:
    """N images that may be asked about, sorted by their original.

    Attributes:
        row: row of each in the scores, (N,).
        starts: the images of original r are `starts[r]` up to `starts[r + 1]`, (R + 1,).
        method: number of each image's method, (N,).
        quality: columns that measure quality, higher is better, (N, F), 32 bits to save memory;
            NaN if unknown.
        telling: those of `quality` that tell different pixels apart, see `telling_columns`, (N, T).
        ms_ssim: MS-SSIM in dB, -10 log10(1 - x), (N,); NaN if unknown.
        methods: names of the methods.
    """

    row: Codes
    starts: Codes
    method: Codes
    quality: NDArray[np.float32]
    telling: NDArray[np.float32]
    ms_ssim: NDArray[np.float64]
    methods: Texts

    def __len__(self) -> int:
        return len(self.row)


def read_score_images(files: TableFiles, base: str) -> tuple[ScoreImages, Counter[str]]:
    """Read the images of scores.

    Args:
        files: the scores.
        base: URI of the folder that relative URIs are relative to.

    Returns:
        the images; and how many are left out, by reason.

    Raises:
        ManifestError: a column is missing; or an original has two images of the same method.
    """
    measured = list_features(files.column_names)
    check_score_columns(files, measured)
    reference, references = _read_references(files, base)
    method, methods = read_methods(files)
    failed = is_filled(files, schema.ERROR)
    image, _ = read_codes(files, schema.DISTORTED)
    named = (method >= 0) & (reference >= 0) & (image >= 0)
    rows = np.flatnonzero(~failed & named)
    _check_one_per_method(files, reference[rows], method[rows], (references, methods))
    distinct = _drop_repeated(reference, image, rows)
    left_out = Counter({FAILED: int(failed.sum()), UNNAMED: int((~failed & ~named).sum())})
    left_out[AGAIN] = len(rows) - len(distinct)
    rows = distinct[np.argsort(reference[distinct], kind="stable")]
    counts = np.bincount(reference[rows], minlength=len(references))
    starts = np.append(0, np.cumsum(counts[counts > 0]))
    quality = _read_quality(files, measured, rows)
    places = [measured.index(name) for name in telling_columns(measured)]
    images = ScoreImages(
        rows, starts, method[rows], quality, quality[:, places], _read_ms_ssim(files, rows), methods
    )
    return images, left_out


def _read_references(files: TableFiles, base: str) -> tuple[Codes, Texts]:
    """Number the originals, -1 where there is none; one original may have several spellings."""
    codes, written = read_codes(files, schema.REFERENCE)
    spelled = [canonical_uri(uri, base) for uri in written]
    numbers = {uri: number for number, uri in enumerate(dict.fromkeys(spelled))}
    numbered: Codes = np.array([*(numbers[uri] for uri in spelled), -1], np.int64)[codes]
    return numbered, tuple(numbers)


def _drop_repeated(reference: Codes, image: Codes, rows: Codes) -> Codes:
    """Keep the first of the rows of each image of an original."""
    size = int(image.max(initial=0)) + 1
    _, first = np.unique(reference[rows] * size + image[rows], return_index=True)
    kept: Codes = rows[np.sort(first)]
    return kept


def _check_one_per_method(
    files: TableFiles, reference: Codes, method: Codes, names: tuple[Texts, Texts]
) -> None:
    pairs, counts = np.unique(reference * len(names[1]) + method, return_counts=True)
    if not (counts > 1).any():
        return
    pair = int(pairs[counts.argmax()])
    original, name = names[0][pair // len(names[1])], names[1][pair % len(names[1])]
    points = {METHOD, schema.TARGET, schema.QUALITY} & set(files.column_names)
    advice = (
        "give scores with one row per image, and each variant of a codec a name of its own"
        if points
        else f"say at which point each was made, in a column {schema.QUALITY!r} or {METHOD!r}"
    )
    raise ManifestError(
        f"scores {files.uri}: {counts.max()} rows are the image of {original} by {name!r}: {advice}"
    )


def _read_quality(files: TableFiles, measured: tuple[str, ...], rows: Codes) -> NDArray[np.float32]:
    quality = np.empty((len(rows), len(measured)), np.float32)
    for place, name in enumerate(measured):
        sign = 1 if schema.MEANINGS[name].better == "higher" else -1
        quality[:, place] = sign * read_numbers(files, name)[rows]
    return quality


def _read_ms_ssim(files: TableFiles, rows: Codes) -> NDArray[np.float64]:
    if _MS_SSIM not in files.column_names:
        return np.full(len(rows), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels: NDArray[np.float64] = -10 * np.log10(1 - read_numbers(files, _MS_SSIM)[rows])
    return decibels
