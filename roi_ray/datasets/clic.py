"""CLIC, perceptual track: crops of images decoded by the challenge's codecs, single answers.

Challenge on Learned Image Compression (compression.cc), 2021 and later.

    validation.csv, oracle.csv     2021, from the devkit (fab-jul/clic2021-devkit): rows O,A,B, and
                                   rows O,A,B,T with the answer
    ..._answers.csv                later releases, from the archive: rows O,A,B,answer
    the images                     PNG crops

No file has a header. O is the file name of the original, A and B are those of two decoded images.
Every file below the folder whose name ends in `oracle.csv` or `answers.csv` is read. Names are
looked up as paths below the folder, then by their last part, because the archives put folders of
their own above them. Rows whose images are missing are left out: the crops come in many archives.

Label direction: 0 means that people preferred **A**, 1 that they preferred B. Beware of the devkit:
its history holds two `oracle.csv`, one at the top and one in `data`, with OPPOSITE answers, and
nothing in them says which one is right. Files in one folder that contradict each other are refused.

Rows where A or B is O are control questions (`gold`). The original must win them, so they show
whether the labels point the right way; the archive's later releases have them. Without control
questions, only the sizes of the files are left: a larger PNG often, but not always, holds more of
the original's detail. This hint is weak, so it is reported and never refuses a data set.

The same question was often put to several people; such rows are kept.

Sources: layout and the meaning of T are from the devkit's README and files; the names of the later
releases and their control questions are from a published reader of them.
"""

import posixpath
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from roi_ray import schema
from roi_ray.datasets.files import ImageFinder, map_in_threads, read_byte_size
from roi_ray.datasets.import_report import ImportReport, build_comparisons
from roi_ray.datasets.label_direction import (
    DirectionCheck,
    check_against_reference,
    check_label_direction,
)
from roi_ray.datasets.text_tables import read_rows, reject_row
from roi_ray.errors import ManifestError
from roi_ray.io import storage

NAME = "clic"

Question = tuple[str, str, str]
"""File names of O, A and B."""

_ANSWERS = ("oracle.csv", "answers.csv")
_QUESTIONS = "validation.csv"
_P_A = {"0": 1.0, "1": 0.0}
# A sample of this many pairs is enough for a weak hint.
_MAX_SIZED_PAIRS = 2000


def import_clic(folder: str) -> pa.Table:
    """Read the answers; the module's docstring describes the layout.

    Args:
        folder: folder with the answers and, at any depth, the images.

    Raises:
        ManifestError: there are no answers, a row does not have the layout, the labels contradict
            the control questions, or two files contradict each other.
    """
    folder = storage.absolute(folder)
    finder = ImageFinder(folder)
    files = [path for path in finder.paths if path.lower().endswith(_ANSWERS)]
    if not files:
        raise ManifestError(f"{folder} holds no oracle.csv and no ..._answers.csv")
    rows: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    # Votes for A minus votes for B in the files read so far.
    lead: Counter[Question] = Counter()
    for file in files:
        answers = _read_answers(storage.join(folder, file), lead)
        for question, p_a in answers:
            original, a, b = question
            lead[question] += 1 if p_a == 1 else -1
            images = [finder.find(name) for name in question]
            if a == b or (images[1] is not None and images[1] == images[2]):
                dropped["with one image on both sides"] += 1
            elif None in images:
                dropped["with an image that is missing"] += 1
            else:
                rows.append(
                    {
                        **dict(zip(schema.COMPARISON_URIS, images, strict=True)),
                        schema.P_A: p_a,
                        schema.SPLIT: _find_split(posixpath.basename(file).lower()),
                        schema.GOLD: original in (a, b),
                    }
                )
    report = ImportReport(
        NAME,
        folder,
        dict(dropped),
        direction_checks=(_check_control_questions(rows), _check_file_sizes(rows)),
    )
    return build_comparisons(rows, report)


def _find_split(file: str) -> str | None:
    """Find the split in the name of an answer file; None if the name has none."""
    if file == "oracle.csv" or "_valid" in file:
        return "validation"
    return "test" if "_test" in file else None


def _read_answers(uri: str, lead: Mapping[Question, int]) -> list[tuple[Question, float]]:
    """Read the questions and `p_a` of one file, and compare them with the files before it."""
    answers: list[tuple[Question, float]] = []
    for row, (original, a, b, answer) in read_rows(uri, cells=4):
        if answer not in _P_A:
            reject_row(uri, row, f"has the answer {answer!r}, which is neither 0 nor 1")
        answers.append(((original, a, b), _P_A[answer]))
    _check_questions(uri, {question for question, _ in answers})
    others = [lead.get(question, 0) for question, _ in answers]
    check_label_direction(
        uri, "the same questions in other files", [p_a for _, p_a in answers], others
    )
    return answers


def _check_questions(uri: str, answered: set[Question]) -> None:
    """Check that the oracle answers every question of the `validation.csv` beside it."""
    questions = storage.join(storage.parent(uri), _QUESTIONS)
    if not uri.endswith("/oracle.csv") or not storage.is_file(questions):
        return
    for row, (original, a, b) in read_rows(questions, cells=3):
        if (original, a, b) not in answered:
            reject_row(questions, row, f"has no answer in {uri}; they are not of the same release")


def _check_control_questions(rows: list[dict[str, Any]]) -> DirectionCheck:
    return check_against_reference(NAME, "the original, in control questions", rows)


def _check_file_sizes(rows: list[dict[str, Any]]) -> DirectionCheck:
    rows = [row for row in rows if not row[schema.GOLD]]
    rows = rows[:: max(1, len(rows) // _MAX_SIZED_PAIRS)][:_MAX_SIZED_PAIRS]
    files = sorted({row[side] for row in rows for side in (schema.A, schema.B)})
    sizes = dict(zip(files, map_in_threads(read_byte_size, files), strict=True))
    return check_label_direction(
        NAME,
        "the larger file (a weak hint)",
        [row[schema.P_A] for row in rows],
        [sizes[row[schema.A]] - sizes[row[schema.B]] for row in rows],
        refuse=False,
    )
