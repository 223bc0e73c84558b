"""PieAPP: 200 images, 75 kinds of distortion, the share of 40 people per pair.

Prashnani, Cai, Mostofi and Sen: PieAPP: Perceptual Image-Error Assessment through Pairwise
Preference, CVPR 2018 (prashnani/PerceptualImageError).

    labels/SPLIT/REF_pairwise_labels.csv      SPLIT is train, val or test; REF is ref_1 and the like
    reference_images/SPLIT/REF.png
    distorted_images/SPLIT/REF/distort_....png

The header, whose cells begin with a space: `ref. image`, ` distorted image A`,
` distorted image B`, ` raw preference for A`, ` processed preference for A`; in test a single
column, ` preference for A`. Columns are found by the words in their names.

Label direction: the preference is the probability that people prefer **A**, so it is `p_a`
unchanged. In test the reference is also a candidate. Those rows are kept as comparisons, not marked
as control questions, and the labels are checked against them: the reference should win.

The processed preference is used where there is one. It is a maximum-likelihood estimate that also
covers pairs that nobody was asked about, whose raw preference is blank. `votes` is 40 for pairs
that people were asked about and null for the others.

Sources: the folders, the order and meaning of the columns and the number of people are from the
authors' README; the spelling of the header is from three published readers of the files, which
differ only in the spaces.
"""

import re
from typing import Any

import pyarrow as pa

from roi_ray import schema
from roi_ray.datasets.import_report import ImportReport, build_comparisons
from roi_ray.datasets.label_direction import check_against_reference
from roi_ray.datasets.text_tables import parse_share, read_rows, reject_row
from roi_ray.errors import ManifestError
from roi_ray.io import storage

NAME = "pieapp"

_SPLITS = ("train", "val", "test")
_LABELS = "_pairwise_labels.csv"
_VOTES = 40
# Patterns of the header cells, reduced to lower-case letters.
_COLUMNS = {
    "reference": re.compile(r"ref(erence)?(image)?"),
    "a": re.compile(r"dist(ort(ed)?)?(image)?a"),
    "b": re.compile(r"dist(ort(ed)?)?(image)?b"),
    "raw": re.compile(r"raw.*preference.*a"),
    "processed": re.compile(r"processed.*preference.*a"),
    "preference": re.compile(r"(probabilityof)?preferencefor(image)?a"),
}
_REQUIRED = ("reference", "a", "b")


def import_pieapp(folder: str) -> pa.Table:
    """Read the pairwise labels; the module's docstring describes the layout.

    Args:
        folder: folder with `labels`, `reference_images` and `distorted_images`.

    Raises:
        ManifestError: there are no labels, a file does not have the layout, or people prefer a
            distorted image to the reference too often.
    """
    folder = storage.absolute(folder)
    rows: list[dict[str, Any]] = []
    for split in _SPLITS:
        labels = storage.join(folder, "labels", split)
        for file in storage.list_files(labels):
            if file.endswith(_LABELS):
                stem = file.removesuffix(_LABELS)
                rows += _read_pairs(folder, split, stem, storage.join(labels, file))
    if not rows:
        raise ManifestError(f"{folder} holds no labels/SPLIT/REF{_LABELS} with rows in it")
    direction = check_against_reference(NAME, "the reference, as one of the candidates", rows)
    return build_comparisons(rows, ImportReport(NAME, folder, direction_checks=(direction,)))


def _read_pairs(folder: str, split: str, stem: str, uri: str) -> list[dict[str, Any]]:
    (header_number, header), *lines = read_rows(uri) or [(0, [])]
    columns = _find_columns(uri, header)
    references = storage.join(folder, "reference_images", split)
    distorted = storage.join(folder, "distorted_images", split, stem)
    pairs = []
    for number, cells in lines:
        row = number - header_number
        if len(cells) != len(header):
            reject_row(uri, row, f"has {len(cells)} cells, but the header {len(header)}")
        # pandas writes a missing cell as "nan".
        values = {
            name: "" if cells[index].lower() == "nan" else cells[index]
            for name, index in columns.items()
        }
        a, b = (
            # References are named ref_1.png, distorted images distort_1_....png.
            storage.join(
                references if values[side] == values["reference"] else distorted, values[side]
            )
            for side in ("a", "b")
        )
        if a == b:
            reject_row(uri, row, f"compares {values['a']!r} with itself")
        column = next((c for c in ("processed", "preference", "raw") if values.get(c)), None)
        if column is None:
            reject_row(uri, row, "has no preference")
        asked = bool(values.get("raw") or values.get("preference"))
        pairs.append(
            {
                schema.REFERENCE: storage.join(references, values["reference"]),
                schema.A: a,
                schema.B: b,
                schema.P_A: parse_share(uri, row, header[columns[column]], values[column]),
                schema.VOTES: _VOTES if asked else None,
                schema.SPLIT: split,
            }
        )
    return pairs


def _find_columns(uri: str, header: list[str]) -> dict[str, int]:
    """Find the index of each column that the header has, by its name in `_COLUMNS`."""
    words = [re.sub("[^a-z]", "", cell.lower()) for cell in header]
    columns = {
        name: index
        for name, pattern in _COLUMNS.items()
        for index, cell in enumerate(words)
        if pattern.fullmatch(cell)
    }
    for name in _REQUIRED:
        if name not in columns:
            raise ManifestError(f"{uri} has no column for {name!r}; there are {header}")
    if not columns.keys() - set(_REQUIRED):
        raise ManifestError(f"{uri} has no column of preferences for A; there are {header}")
    return columns
