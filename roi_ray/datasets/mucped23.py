"""mucped23: 49 images, three JPEG encoders at close qualities, single answers.

Versari, Szabadka, Bruse and Alakuijala: Multi-bitrate JPEG compression perceptual evaluation
dataset 2023 (google-research/google-research, folder mucped23; answers CC BY 4.0).

    answers.csv                header methodA,methodB,originalName,answerValue
    originals/NAME.png         CID22's validation set
    METHOD/NAME.jpg or .png    METHOD is encoder-qQUALITY-SUBSAMPLING: libjpeg-turbo-q80-yuv422

Label direction: `answerValue`, A or B, names the image judged WORSE. So the answer `A` means that
people prefer B: `p_a` is 0. The study's README does not say so, but its bit rates, its qualities
and its own Elo scores do. Checked against the bit rate and, within one encoder, the quality.

Two originals show one scene (3316926_opo25u and 844297): their answers have one `group`, so that no
split divides them.

`bpp_a` and `bpp_b` are from the `.jpg` files. The study's own archive holds decoded PNGs instead,
whose sizes say nothing about the bit rate; both columns are then empty.

Sources: layout and header are from the study's README and its published answers.
"""

import re
from typing import Any

import pyarrow as pa

from roi_ray import schema
from roi_ray.datasets.files import map_in_threads, read_bits_per_pixel
from roi_ray.datasets.import_report import ImportReport, build_comparisons
from roi_ray.datasets.label_direction import DirectionCheck, check_label_direction, subtract
from roi_ray.datasets.text_tables import read_rows_by_column, reject_row, require_file
from roi_ray.io import storage

NAME = "mucped23"

_COLUMNS = ("methodA", "methodB", "originalName", "answerValue")
_METHOD = re.compile(r"(?P<codec>.+?)-q(?P<quality>\d+)")
_P_A = {"A": 0.0, "B": 1.0}
_SAME_SCENE = {"3316926_opo25u": "844297"}
"""Originals that are near-duplicates of another one."""


def import_mucped23(folder: str) -> pa.Table:
    """Read the answers; the module's docstring describes the layout.

    Args:
        folder: folder with `answers.csv`, `originals` and a folder per method.

    Raises:
        ManifestError: a row does not have the layout, an image is missing, or the labels contradict
            bit rate or quality.
    """
    folder = storage.absolute(folder)
    rows = _read_answers(folder)
    _add_bit_rates(rows)
    direction = _check_directions(rows)
    return build_comparisons(rows, ImportReport(NAME, folder, direction_checks=direction))


def _read_answers(folder: str) -> list[dict[str, Any]]:
    """Read the answers as comparisons, without bit rates."""
    answers = require_file(folder, "answers.csv", "the answers")
    files: dict[str, set[str]] = {}

    def find_image(row: int, method: str, name: str) -> str:
        if method not in files:
            files[method] = set(storage.list_files(storage.join(folder, method)))
        for file in (f"{name}.jpg", f"{name}.png"):
            if file in files[method]:
                return storage.join(folder, method, file)
        reject_row(
            answers, row, f"names {method}/{name}, but there is no such .jpg or .png in {folder}"
        )

    rows: list[dict[str, Any]] = []
    for row, cells in read_rows_by_column(answers, _COLUMNS):
        answer, name = cells["answerValue"], cells["originalName"]
        if answer not in _P_A:
            reject_row(answers, row, f"has {answer!r} for 'answerValue', which is neither A nor B")
        method_a, method_b = cells["methodA"], cells["methodB"]
        if method_a == method_b:
            reject_row(answers, row, f"compares {method_a!r} with itself")
        scene = f"{_SAME_SCENE.get(name, name)}.png"
        rows.append(
            {
                schema.REFERENCE: find_image(row, "originals", name),
                schema.GROUP: storage.join(folder, "originals", scene),
                schema.A: find_image(row, method_a, name),
                schema.B: find_image(row, method_b, name),
                schema.P_A: _P_A[answer],
                schema.CODEC_A: _parse_codec(method_a),
                schema.CODEC_B: _parse_codec(method_b),
                schema.METHOD_A: method_a,
                schema.METHOD_B: method_b,
            }
        )
    return rows


def _add_bit_rates(rows: list[dict[str, Any]]) -> None:
    """Set `bpp_a` and `bpp_b`; None for decoded images."""
    images = {row[side] for row in rows for side in (schema.A, schema.B)}
    encoded = sorted(uri for uri in images if uri.endswith(".jpg"))
    bit_rates = dict(zip(encoded, map_in_threads(read_bits_per_pixel, encoded), strict=True))
    for row in rows:
        row[schema.BPP_A] = bit_rates.get(row[schema.A])
        row[schema.BPP_B] = bit_rates.get(row[schema.B])


def _check_directions(rows: list[dict[str, Any]]) -> tuple[DirectionCheck, ...]:
    """Compare the labels with the bit rates and with the qualities."""
    p_a = [row[schema.P_A] for row in rows]
    qualities = [_parse_qualities(row) for row in rows]
    hints = {
        "bit rate": ([row[schema.BPP_A] for row in rows], [row[schema.BPP_B] for row in rows]),
        "quality, within one encoder": ([a for a, _ in qualities], [b for _, b in qualities]),
    }
    return tuple(
        check_label_direction(NAME, hint, p_a, subtract(a, b)) for hint, (a, b) in hints.items()
    )


def _parse_codec(method: str) -> str:
    """Parse the encoder, the part before `-q80`; the whole name if it has no quality."""
    match = _METHOD.match(method)
    return match["codec"] if match else method


def _parse_qualities(row: dict[str, Any]) -> tuple[float | None, float | None]:
    """Parse the qualities of both methods; None for different encoders."""
    a, b = (_METHOD.match(row[name]) for name in (schema.METHOD_A, schema.METHOD_B))
    if a and b and a["codec"] == b["codec"]:
        return float(a["quality"]), float(b["quality"])
    return None, None
