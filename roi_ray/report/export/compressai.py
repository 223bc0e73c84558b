"""Scores as the JSON that CompressAI's plots and tables read.

The format is that of `compressai.utils.bench` and `compressai.utils.eval_model` of
https://github.com/InterDigitalInc/CompressAI, and of the files in its folder `results/`: a file per
codec, whose `results` have a list per number, with the mean over images at each quality.

PSNR and MS-SSIM are there under today's names (`psnr-rgb`, `ms-ssim-rgb`) and under those of older
releases (`psnr`, `ms-ssim`). Means are over the images that have all points of the codec.
"""

import json

import numpy as np
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.decision.score_table import MISSING
from roi_ray.errors import UsageError
from roi_ray.report.export.selection import Selection, describe_nulls, name_files
from roi_ray.runtime.words import count_noun

_NAMES = {
    schema.BPP: ("bpp",),
    "psnr": ("psnr-rgb", "psnr"),
    "ms_ssim": ("ms-ssim-rgb", "ms-ssim"),
    schema.ENCODE_SECONDS: ("encoding_time",),
    schema.DECODE_SECONDS: ("decoding_time",),
}
"""Columns of scores by their names in the format; other metrics keep their own."""

_METRICS = tuple(name for name, meaning in schema.MEANINGS.items() if meaning.better)


def make_results(selection: Selection) -> tuple[dict[str, bytes], list[str]]:
    """Make the files of an export.

    Args:
        selection: the cells to export.

    Returns:
        content of each file by its name, and what was left out, one sentence each.

    Raises:
        UsageError: the scores do not say what was asked for, or no codec has an image with all its
            points.
    """
    files: dict[str, bytes] = {}
    left_out: list[str] = []
    nulls: dict[str, dict[str, int]] = {}
    for codec, name in name_files(selection.codecs, ".json").items():
        points = selection.scores.codecs[codec].names
        if points is None:
            raise UsageError(
                "the scores have neither a target nor a quality, so that images cannot be averaged "
                "at each: add a column 'quality' to the manifest, and score it"
            )
        complete: NDArray[np.bool_] = np.all(selection.rows[codec] != MISSING, axis=1)
        if incomplete := int((~complete).sum()):
            left_out.append(
                f"{codec}: {count_noun(incomplete, 'image')} without all its points left out"
            )
        if not complete.any():
            left_out.append(f"{codec}: no image has all its points, so that it has no file")
            continue
        results, omitted = _average(selection, codec, complete)
        for column, count in omitted.items():
            nulls.setdefault(column, {})[codec] = count
        document = {
            "name": codec,
            "description": _describe(selection, codec, int(complete.sum())),
            "results": results,
        }
        text = json.dumps(document, indent=2, allow_nan=False) + "\n"
        files[name] = text.encode()
    if not files:
        raise UsageError("no codec has an image with all its points: there is nothing to average")
    return files, left_out + describe_nulls(nulls)


def _average(
    selection: Selection, codec: str, complete: NDArray[np.bool_]
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Average each number over images; count the nulls of those that have one in some cell."""
    results: dict[str, list[float]] = {}
    omitted: dict[str, int] = {}
    images = selection.images[complete]
    order = np.argsort(selection.scores.bit_rates(codec)[images].mean(axis=0), kind="stable")
    for column in (*_NAMES, *(name for name in _METRICS if name not in _NAMES)):
        if column not in selection.scores.column_names:
            continue
        values = selection.scores.values(codec, column)[images][:, order]
        if nulls := int((~np.isfinite(values)).sum()):
            omitted[column] = nulls
            continue
        for name in _NAMES.get(column, (column,)):
            results[name] = values.mean(axis=0).tolist()
    return results, omitted


def _describe(selection: Selection, codec: str, images: int) -> str:
    versions = ""
    if schema.CODEC_VERSION in selection.scores.column_names:
        found = {value for value in selection.read(codec, schema.CODEC_VERSION) if value}
        versions = "".join(f"{version}; " for version in sorted(found))
    return f"{codec}. {versions}means of {count_noun(images, 'image')}, scored by roi-ray"
