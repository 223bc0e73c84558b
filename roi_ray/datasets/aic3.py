"""JPEG AIC-3, plain triplet comparisons: six codecs from visible distortion to near losslessness.

Testolina, Jenadeleh, Mohammadi, Su, Ascenso, Ebrahimi, Sneyers and Saupe: Fine-grained subjective
visual quality assessment for high-fidelity compressed images, DCC 2025
(jpeg-aic/dataset-BTC-PTC-24). Jenadeleh, Sneyers, Jia, Mohammadi, Ascenso and Saupe: Subjective
Visual Quality Assessment for High-Fidelity Learning-Based Image Compression, QoMEX 2025
(jpeg-aic/dataset-JPEG-AI-SDR25).

    ...response....csv    any below the folder, with a header: method, worker, img_left, img_pivot,
                          img_right, codec_left, ..., dlevel_left, ..., is_bias, is_trap, response
    the images            any below the folder: PTC_00002_JPEG-XL_04.png, PTC_00002_0ref_00.png

The pivot is the original and becomes `reference`; left becomes `a`, right becomes `b`.

Label direction: `response` (`left` or `right`; A or B are accepted too) names the side that is MORE
DISTORTED. So `left` means that people prefer the right image: `p_a` is 0. `not sure`, however it is
spelled, is a tie. Checked against the distortion level: within one codec, a higher `dlevel` is more
distorted.

Left out: boosted triplets (`method` is BTC: the images are magnified and their distortions
amplified, so they are not a codec's output), trap questions, bias questions, skipped questions, and
rows whose images are missing. The 2024 campaign writes `IPTC_...` for the files `PTC_...`.

Sources: the columns are from the READMEs of the two repositories. The spelling of the answers, the
label direction, the names of the images and of IPTC are from published analyses of the files; one
of them finds that 383 of 386 workers fail the trap questions if the answers are read the other way.
"""

import posixpath
import re
from collections import Counter
from typing import Any

import pyarrow as pa

from roi_ray import schema
from roi_ray.datasets.files import ImageFinder
from roi_ray.datasets.import_report import ImportReport, build_comparisons
from roi_ray.datasets.label_direction import check_label_direction
from roi_ray.datasets.text_tables import parse_number, read_rows_by_column, reject_row
from roi_ray.errors import ManifestError
from roi_ray.io import storage

NAME = "aic3"

_COLUMNS = ("response", "img_left", "img_pivot", "img_right")
_IMAGE = re.compile(r"I?PTC_\d+_(?P<codec>.+)_(?P<level>\d+)\.\w+")
_SOURCE = "0ref"
_P_A = {"left": 0.0, "a": 0.0, "right": 1.0, "b": 1.0, "notsure": 0.5}
_SKIPPED = ("", "skip", "skipped")


def import_aic3(folder: str) -> pa.Table:
    """Read the responses to plain triplets; the module's docstring describes the layout.

    Args:
        folder: folder with the responses and, at any depth, the images.

    Raises:
        ManifestError: there are no responses, a row does not have the layout, or the labels
            contradict the distortion levels.
    """
    folder = storage.absolute(folder)
    finder = ImageFinder(folder)
    files = [
        path
        for path in finder.paths
        if path.lower().endswith(".csv") and "response" in posixpath.basename(path).lower()
    ]
    if not files:
        raise ManifestError(f"{folder} holds no .csv file with 'response' in its name")
    rows: list[dict[str, Any]] = []
    advantage: list[float] = []
    dropped: Counter[str] = Counter()
    for file in files:
        uri = storage.join(folder, file)
        study = posixpath.splitext(posixpath.basename(file))[0]
        for row, cells in read_rows_by_column(uri, _COLUMNS):
            answer = re.sub("[^a-z]", "", cells["response"].lower())
            if reason := _reason_to_drop(cells, answer):
                dropped[reason] += 1
                continue
            if answer not in _P_A:
                reject_row(uri, row, f"has the response {cells['response']!r}")
            names = [cells[f"img_{side}"] for side in ("pivot", "left", "right")]
            images = [_find_image(finder, name) for name in names]
            if None in images:
                dropped["with an image that is missing"] += 1
                continue
            uris = dict(zip(schema.COMPARISON_URIS, images, strict=True))
            label = {schema.P_A: _P_A[answer], schema.TIE: _P_A[answer] == 0.5}
            rows.append({**uris, **label, **_parse_rater_and_codecs(cells, study)})
            advantage.append(_advantage(uri, row, cells))
    p_a = [row[schema.P_A] for row in rows]
    direction = check_label_direction(NAME, "distortion level, within one codec", p_a, advantage)
    return build_comparisons(
        rows, ImportReport(NAME, folder, dict(dropped), direction_checks=(direction,))
    )


def _reason_to_drop(cells: dict[str, str], answer: str) -> str | None:
    if "BTC" in cells.get("method", "").upper() or cells["img_left"].startswith("BTC_"):
        return "of boosted triplets"
    if _is_set(cells, "is_trap"):
        return "that are trap questions"
    if _is_set(cells, "is_bias") or cells["img_left"] == cells["img_right"]:
        return "that are bias questions"
    return "that were skipped" if answer in _SKIPPED else None


def _is_set(cells: dict[str, str], name: str) -> bool:
    return cells.get(name, "").lower() in ("1", "1.0", "true")


def _find_image(finder: ImageFinder, name: str) -> str | None:
    return finder.find(name) or finder.find(name.replace("IPTC_", "PTC_", 1))


def _parse_rater_and_codecs(cells: dict[str, str], study: str) -> dict[str, Any]:
    """Parse the rater, and the codecs and methods in the names of the images."""
    columns: dict[str, Any] = {}
    if cells.get("worker"):
        # Worker numbers are unique only within a study.
        columns[schema.RATER] = f"{study}/{cells['worker']}"
    names = {
        "left": (schema.CODEC_A, schema.METHOD_A),
        "right": (schema.CODEC_B, schema.METHOD_B),
    }
    for side, (codec, method) in names.items():
        match = _IMAGE.fullmatch(posixpath.basename(cells[f"img_{side}"]))
        if match and match["codec"] != _SOURCE:
            columns[codec] = match["codec"]
            columns[method] = f"{match['codec']}_{match['level']}"
    return columns


def _advantage(uri: str, row: int, cells: dict[str, str]) -> float:
    """Compute by how many levels the right image is more distorted; 0 for different codecs."""
    if not all(
        cells.get(f"{name}_{side}") for name in ("codec", "dlevel") for side in ("left", "right")
    ):
        return 0.0
    left, right = (
        parse_number(uri, row, name, cells[name]) for name in ("dlevel_left", "dlevel_right")
    )
    # Level 0 is the original, whichever codec it is listed under.
    comparable = cells["codec_left"] == cells["codec_right"] or 0 in (left, right)
    return right - left if comparable else 0.0
