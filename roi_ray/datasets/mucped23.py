"""mucped23: 49 images, three JPEG encoders at close qualities, answers one by one.

Versari, Szabadka, Bruse and Alakuijala: Multi-bitrate JPEG compression perceptual evaluation
dataset 2023 (google-research/google-research, folder mucped23; answers CC BY 4.0).

    answers.csv                header methodA,methodB,originalName,answerValue
    originals/NAME.png         CID22's validation set
    METHOD/NAME.jpg or .png    METHOD is encoder-qQUALITY-SUBSAMPLING: libjpeg-turbo-q80-yuv422

Label direction:
`answerValue`, A or B, names the image judged WORSE. `A` is a `p_a` of 0. The study's
README does not say so; its bit rates, its qualities and its own Elo scores do. `bpp_a` and `bpp_b`
come from the `.jpg` files: the study's own archive holds decoded PNGs, whose size says nothing.

Layout and header: from the study's README and its published answers.
"""

import re
from typing import Any

import pyarrow as pa

from roi_ray import schema
from roi_ray.datasets.files import map_in_threads, read_bits_per_pixel
from roi_ray.datasets.import_report import ImportReport, build_comparisons
from roi_ray.datasets.label_direction import check_label_direction, difference
from roi_ray.datasets.text_tables import read_rows_by_column, reject_row, require_file
from roi_ray.io import storage

NAME = "mucped23"

_COLUMNS = ("methodA", "methodB", "originalName", "answerValue")
_METHOD = re.compile(r"(?P<codec>.+?)-q(?P<quality>\d+)")
_P_A = {"A": 0.0, "B": 1.0}


def import_mucped23(folder: str) -> pa.Table:
    """Read the answers; see the module for the layout.

    Args:
        folder: that holds `answers.csv`, `originals` and a folder for each method.

    Raises:
        ManifestError: a row that is not of the layout, an image that is not there, or answers that
            contradict bit rate or quality.
    """
    folder = storage.absolute(folder)
    answers = require_file(folder, "answers.csv", "the answers")
    there: dict[str, set[str]] = {}

    def image(row: int, part: str, name: str) -> str:
        if part not in there:
            there[part] = set(storage.list_files(storage.join(folder, part)))
        for file in (f"{name}.jpg", f"{name}.png"):
            if file in there[part]:
                return storage.join(folder, part, file)
        reject_row(
            answers, row, f"names {part}/{name}, but there is no such .jpg or .png in {folder}"
        )

    rows: list[dict[str, Any]] = []
    for row, cells in read_rows_by_column(answers, _COLUMNS):
        answer, name = cells["answerValue"], cells["originalName"]
        if answer not in _P_A:
            reject_row(answers, row, f"has {answer!r} for 'answerValue', which is neither A nor B")
        methods = cells["methodA"], cells["methodB"]
        if methods[0] == methods[1]:
            reject_row(answers, row, f"compares {methods[0]!r} with itself")
        rows.append(
            {
                schema.REFERENCE: image(row, "originals", name),
                schema.A: image(row, methods[0], name),
                schema.B: image(row, methods[1], name),
                schema.P_A: _P_A[answer],
                schema.CODEC_A: _codec(methods[0]),
                schema.CODEC_B: _codec(methods[1]),
                schema.METHOD_A: methods[0],
                schema.METHOD_B: methods[1],
            }
        )
    used = {found[side] for found in rows for side in (schema.A, schema.B)}
    encoded = sorted(uri for uri in used if uri.endswith(".jpg"))
    rates = dict(zip(encoded, map_in_threads(read_bits_per_pixel, encoded), strict=True))
    for found in rows:
        found[schema.BPP_A] = rates.get(found[schema.A])
        found[schema.BPP_B] = rates.get(found[schema.B])
    p_a = [found[schema.P_A] for found in rows]
    hints = {
        "bit rate": difference(
            [found[schema.BPP_A] for found in rows], [found[schema.BPP_B] for found in rows]
        ),
        "quality, within one encoder": difference(
            *zip(*(_qualities(found) for found in rows), strict=True) if rows else ((), ())
        ),
    }
    polarity = tuple(check_label_direction(NAME, hint, p_a, by) for hint, by in hints.items())
    return build_comparisons(rows, ImportReport(NAME, folder, direction_checks=polarity))


def _codec(method: str) -> str:
    """The encoder: what stands before `-q80`; a name without a quality as it is."""
    match = _METHOD.match(method)
    return match["codec"] if match else method


def _qualities(row: dict[str, Any]) -> tuple[float | None, float | None]:
    """Qualities of both methods, if they are of one encoder."""
    a, b = (_METHOD.match(row[name]) for name in (schema.METHOD_A, schema.METHOD_B))
    if a and b and a["codec"] == b["codec"]:
        return float(a["quality"]), float(b["quality"])
    return None, None
