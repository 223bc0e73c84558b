"""mucped22: 22 photographs, MozJPEG, AVIF and JPEG XL, single answers, each about a crop.

Versari, Toderici, Comsa, Alakuijala, Boukortt, Bruse and Perszyk: Multi-bitrate compression
perceptual evaluation dataset 2022 (google-research/google-research, folder mucped22; the data is in
the bucket gs://gresearch/mucped22).

    evaluations.json       a list of objects: image, greater, lesser, crop [x, y, width, height],
                           image_dims [width, height], random_choice, rater_time_ms, rater_flips,
                           greater_elo, lesser_elo, ...
    originals/IMAGE        IMAGE with its suffix
    DISTORTION/IMAGE       DISTORTION is dist_6 and the like

Label direction: `greater` is the distortion judged closer to the original, that is, the BETTER one.
The file always lists it first, so a hash of the names decides which candidate becomes `a`. Where
`random_choice` is true, the rater could not decide: a tie. Checked against the study's Elo scores.

Left out, as the study's README recommends: crops that are not within the image, answers with fewer
than 3 flips between the candidates, answers given in less than 3000 ms. The columns `crop_x`,
`crop_y`, `crop_width` and `crop_height` hold the crop that was judged; the files are whole images.

Sources: layout and fields are from the study's README, its scripts and its published sample of
evaluations.
"""

import json
import math
from collections import Counter
from typing import Any

import pyarrow as pa

from roi_ray import schema
from roi_ray.datasets.candidate_order import becomes_a
from roi_ray.datasets.import_report import ImportReport, build_comparisons
from roi_ray.datasets.label_direction import check_label_direction
from roi_ray.datasets.text_tables import read_text, reject_row, require_file
from roi_ray.errors import ManifestError
from roi_ray.io import storage

NAME = "mucped22"

_MIN_FLIPS = 3
_MIN_MS = 3000
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "image": str,
    "greater": str,
    "lesser": str,
    "crop": list,
    "image_dims": list,
    "random_choice": bool,
    "rater_time_ms": (int, float),
    "rater_flips": (int, float),
}


def import_mucped22(folder: str) -> pa.Table:
    """Read the evaluations; the module's docstring describes the layout.

    Args:
        folder: folder with `evaluations.json`, `originals` and a folder per distortion.

    Raises:
        ManifestError: an evaluation does not have the layout (its number counts from 1), or the
            labels contradict the Elo scores.
    """
    folder = storage.absolute(folder)
    uri = require_file(folder, "evaluations.json", "the evaluations")
    rows: list[dict[str, Any]] = []
    advantage: list[float] = []
    dropped: Counter[str] = Counter()
    for row, item in enumerate(_read_evaluations(uri), 1):
        evaluation = _check_evaluation(uri, row, item)
        if reason := _reason_to_drop(evaluation):
            dropped[reason] += 1
            continue
        greater, lesser = evaluation["greater"], evaluation["lesser"]
        image = evaluation["image"]
        a_is_better = becomes_a(f"{greater}/{image}", f"{lesser}/{image}")
        a, b = (greater, lesser) if a_is_better else (lesser, greater)
        tie = evaluation["random_choice"]
        rows.append(
            {
                schema.REFERENCE: storage.join(folder, "originals", image),
                schema.A: storage.join(folder, a, image),
                schema.B: storage.join(folder, b, image),
                schema.P_A: 0.5 if tie else float(a_is_better),
                schema.TIE: tie,
                schema.METHOD_A: a,
                schema.METHOD_B: b,
                **dict(zip(schema.CROP, evaluation["crop"], strict=True)),
            }
        )
        lead = _elo(evaluation, "greater_elo") - _elo(evaluation, "lesser_elo")
        advantage.append(lead if a_is_better else -lead)
    p_a = [row[schema.P_A] for row in rows]
    direction = check_label_direction(NAME, "the study's Elo scores", p_a, advantage)
    table = build_comparisons(
        rows, ImportReport(NAME, folder, dict(dropped), direction_checks=(direction,))
    )
    for column in schema.CROP:
        values = pa.array([row[column] for row in rows], pa.int32())
        table = table.append_column(column, values)
    return table


def _read_evaluations(uri: str) -> list[Any]:
    try:
        evaluations = json.loads(read_text(uri))
    except ValueError as error:
        raise ManifestError(f"{uri} cannot be read as JSON: {error}") from error
    if not isinstance(evaluations, list):
        raise ManifestError(f"{uri} holds no list of evaluations")
    return evaluations


def _check_evaluation(uri: str, row: int, evaluation: object) -> dict[str, Any]:
    if not isinstance(evaluation, dict):
        reject_row(uri, row, "is not an object")
    for name, kind in _FIELDS.items():
        if not isinstance(evaluation.get(name), kind):
            reject_row(uri, row, f"has {evaluation.get(name)!r} for {name!r}")
    for name, length in (("crop", 4), ("image_dims", 2)):
        values = evaluation[name]
        if len(values) != length or not all(map(_is_pixel_count, values)):
            reject_row(uri, row, f"has {values!r} for {name!r}, not {length} whole numbers")
    if min(evaluation["crop"][2:]) < 1:
        reject_row(uri, row, f"has {evaluation['crop']!r} for 'crop', which holds no pixels")
    for name in ("rater_time_ms", "rater_flips"):
        if not math.isfinite(evaluation[name]):
            reject_row(uri, row, f"has {evaluation[name]!r} for {name!r}")
    if evaluation["greater"] == evaluation["lesser"]:
        reject_row(uri, row, f"compares {evaluation['greater']!r} with itself")
    return evaluation


def _is_pixel_count(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 31


def _reason_to_drop(evaluation: dict[str, Any]) -> str | None:
    x, y, width, height = evaluation["crop"]
    whole_width, whole_height = evaluation["image_dims"]
    if min(x, y) < 0 or x + width > whole_width or y + height > whole_height:
        return "with a crop outside the image"
    if evaluation["rater_flips"] < _MIN_FLIPS:
        return f"with fewer than {_MIN_FLIPS} flips"
    if evaluation["rater_time_ms"] < _MIN_MS:
        return f"within less than {_MIN_MS} ms"
    return None


def _elo(evaluation: dict[str, Any], name: str) -> float:
    value = evaluation.get(name)
    return float(value) if isinstance(value, int | float) else math.nan
