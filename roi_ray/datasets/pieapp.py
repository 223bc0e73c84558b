"""PieAPP: 200 images, 75 kinds of distortion, the share of 40 people for each pair.

Prashnani, Cai, Mostofi and Sen: PieAPP: Perceptual Image-Error Assessment through Pairwise
Preference, CVPR 2018 (prashnani/PerceptualImageError).

    labels/SPLIT/REF_pairwise_labels.csv      SPLIT is train, val or test; REF is ref_1 and the like
    reference_images/SPLIT/REF.png
    distorted_images/SPLIT/REF/distort_....png

The header, in which cells begin with a space: `ref. image`, ` distorted image A`,
` distorted image B`, ` raw preference for A`, ` processed preference for A`; in test one column,
` preference for A`. Columns are found by their words.

Label direction:
the preference is the probability that people prefer **A**, so it is `p_a` as it stands.
The processed one is taken where there is one: a maximum-likelihood estimate that is also there for
the pairs that nobody was asked about, whose raw one is blank. `votes` is 40 for pairs that people
were asked about, null for the others.

In test the reference is a candidate too: those rows are kept as comparisons (they are not marked as
control questions), and say whether the answers are the right way round.

Folders, the columns' order, their meaning and the number of people: from the authors' README.
Spelling of the header: from three published readers of the files, which agree but for spaces.
"""

import re
from typing import Any

import pyarrow as pa

from roi_ray import schema
from roi_ray.datasets.import_report import ImportReport, build_comparisons
from roi_ray.datasets.label_direction import check_label_direction
from roi_ray.datasets.text_tables import parse_share, read_rows, reject_row
from roi_ray.errors import ManifestError
from roi_ray.io import storage

NAME = "pieapp"

_SPLITS = ("train", "val", "test")
_LABELS = "_pairwise_labels.csv"
_VOTES = 40
# What the words of a header cell must look like, once all but letters are gone.
_COLUMNS = {
    "reference": re.compile(r"ref(erence)?(image)?"),
    "a": re.compile(r"dist(ort(ed)?)?(image)?a"),
    "b": re.compile(r"dist(ort(ed)?)?(image)?b"),
    "raw": re.compile(r"raw.*preference.*a"),
    "processed": re.compile(r"processed.*preference.*a"),
    "preference": re.compile(r"(probabilityof)?preferencefor(image)?a"),
}
_NEEDED = ("reference", "a", "b")


def import_pieapp(folder: str) -> pa.Table:
    """Read the pairwise labels; see the module for the layout.

    Args:
        folder: that holds `labels`, `reference_images` and `distorted_images`.

    Raises:
        ManifestError: no label files, one that is not of the layout, or answers that contradict the
            reference's being the best candidate.
    """
    folder = storage.absolute(folder)
    rows: list[dict[str, Any]] = []
    for split in _SPLITS:
        labels = storage.join(folder, "labels", split)
        for file in storage.list_files(labels):
            if file.endswith(_LABELS):
                stem = file.removesuffix(_LABELS)
                rows += _pairs(folder, split, stem, storage.join(labels, file))
    if not rows:
        raise ManifestError(f"{folder} holds no labels/SPLIT/REF{_LABELS} with rows in it")
    polarity = check_label_direction(
        NAME,
        "the reference, as one of the candidates",
        [row[schema.P_A] for row in rows],
        [
            (row[schema.A] == row[schema.REFERENCE]) - (row[schema.B] == row[schema.REFERENCE])
            for row in rows
        ],
    )
    return build_comparisons(rows, ImportReport(NAME, folder, direction_checks=(polarity,)))


def _pairs(folder: str, split: str, stem: str, uri: str) -> list[dict[str, Any]]:
    (header_at, header), *lines = read_rows(uri) or [(0, [])]
    at = _columns(uri, header)
    references = storage.join(folder, "reference_images", split)
    distorted = storage.join(folder, "distorted_images", split, stem)
    found = []
    for line, cells in lines:
        row = line - header_at
        if len(cells) != len(header):
            reject_row(uri, row, f"has {len(cells)} cells, but the header {len(header)}")
        # In pandas' files, what is not there is not a number.
        value = {n: "" if cells[i].lower() == "nan" else cells[i] for n, i in at.items()}
        a, b = (
            # Files of references are named ref_1.png; of distorted images distort_1_....png.
            storage.join(
                references if value[side] == value["reference"] else distorted, value[side]
            )
            for side in ("a", "b")
        )
        if a == b:
            reject_row(uri, row, f"compares {value['a']!r} with itself")
        column = next((c for c in ("processed", "preference", "raw") if value.get(c)), None)
        if column is None:
            reject_row(uri, row, "has no preference")
        asked = bool(value.get("raw") or value.get("preference"))
        found.append(
            {
                schema.REFERENCE: storage.join(references, value["reference"]),
                schema.A: a,
                schema.B: b,
                schema.P_A: parse_share(uri, row, header[at[column]], value[column]),
                schema.VOTES: _VOTES if asked else None,
                schema.SPLIT: split,
            }
        )
    return found


def _columns(uri: str, header: list[str]) -> dict[str, int]:
    words = [re.sub("[^a-z]", "", cell.lower()) for cell in header]
    at = {
        name: index
        for name, pattern in _COLUMNS.items()
        for index, cell in enumerate(words)
        if pattern.fullmatch(cell)
    }
    for name in _NEEDED:
        if name not in at:
            raise ManifestError(f"{uri} has no column for {name!r}; there are {header}")
    if not at.keys() - set(_NEEDED):
        raise ManifestError(f"{uri} has no column of preferences for A; there are {header}")
    return at
