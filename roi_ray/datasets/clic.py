"""CLIC, perceptual track: crops of what the challenge's image codecs decoded, answers one by one.

Challenge on Learned Image Compression (compression.cc), 2021 and later.

    validation.csv, oracle.csv     2021, from the devkit (fab-jul/clic2021-devkit): rows O,A,B, and
                                   rows O,A,B,T with the answer
    ..._answers.csv                later releases, from the archive: rows O,A,B,answer
    the images                     PNG crops

None has a header. O is the original's file name, A and B those of two decoded images. Every file
below the folder whose name ends in `oracle.csv` or `answers.csv` is read. Names are looked for as
paths below the folder, then by their last part, as the archives put folders of their own before
them; rows whose images are not there (the crops come in many archives) are left out and counted.

POLARITY: 0 means that people preferred **A**, 1 that they preferred B. Beware of the devkit: its
history holds two `oracle.csv`, one at its top and one in `data`, whose answers are opposite. Which
of them is right cannot be told from them; the archive's later releases have control questions.
Files in one folder that contradict each other are refused.

Rows where A or B is O are control questions: `gold`. They say whether the answers are the right way
round, as the original must win. Where there are none, all that is left is the size of the files: a
larger PNG often, by no means always, holds more of the original's detail. That hint is a weak one,
so it is reported, and nothing is refused for it.

The same question was often put to several people; such rows are kept.

Layout and the meaning of T: from the devkit's README and files. Names of the later releases and
their control questions: from a published reader of them.
"""

import posixpath
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from roi_ray import schema
from roi_ray.datasets.files import ImageFinder, map_in_threads, read_byte_size
from roi_ray.datasets.import_report import ImportReport, build_comparisons
from roi_ray.datasets.label_direction import DirectionCheck, check_label_direction
from roi_ray.datasets.text_tables import read_rows, reject_row
from roi_ray.errors import ManifestError
from roi_ray.io import storage

NAME = "clic"

Question = tuple[str, str, str]
"""O, A and B."""

_ANSWERS = ("oracle.csv", "answers.csv")
_QUESTIONS = "validation.csv"
_P_A = {"0": 1.0, "1": 0.0}
# Sizes of so many pairs of files are enough for a weak hint.
_SIZED = 2000


def import_clic(folder: str) -> pa.Table:
    """Read the answers; see the module for the layout.

    Args:
        folder: that holds the answers and, directly or in folders, the images.

    Raises:
        ManifestError: no answers, a row that is not of the layout, or answers that contradict the
            control questions.
    """
    folder = storage.absolute(folder)
    finder = ImageFinder(folder)
    files = [path for path in finder.paths if path.lower().endswith(_ANSWERS)]
    if not files:
        raise ManifestError(f"{folder} holds no oracle.csv and no ..._answers.csv")
    rows: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    votes: Counter[Question] = Counter()
    for file in files:
        answers = _answers(storage.join(folder, file), votes)
        for question, p_a in answers:
            original, a, b = question
            votes[question] += 1 if p_a == 1 else -1
            images = [finder.find(name) for name in question]
            if a == b or (images[1] is not None and images[1] == images[2]):
                dropped["with one image on both sides"] += 1
            elif None in images:
                dropped["with an image that is not there"] += 1
            else:
                facts = {
                    schema.P_A: p_a,
                    schema.SPLIT: _split(posixpath.basename(file).lower()),
                    schema.GOLD: original in (a, b),
                }
                rows.append({**dict(zip(schema.COMPARISON_URIS, images, strict=True)), **facts})
    report = ImportReport(
        NAME,
        folder,
        dict(dropped),
        direction_checks=(_against_gold(rows), _against_sizes(rows)),
    )
    return build_comparisons(rows, report)


def _split(file: str) -> str | None:
    """The split, if the name of a file of answers says so."""
    if file == "oracle.csv" or "_valid" in file:
        return "validation"
    return "test" if "_test" in file else None


def _answers(uri: str, votes: Mapping[Question, int]) -> list[tuple[Question, float]]:
    """Questions and `p_a` of one file, held against what the files before it say."""
    found: list[tuple[Question, float]] = []
    for row, (original, a, b, answer) in read_rows(uri, cells=4):
        if answer not in _P_A:
            reject_row(uri, row, f"has the answer {answer!r}, which is neither 0 nor 1")
        found.append(((original, a, b), _P_A[answer]))
    _check_questions(uri, {question for question, _ in found})
    others = [votes.get(question, 0) for question, _ in found]
    check_label_direction(
        uri, "the same questions in other files", [p_a for _, p_a in found], others
    )
    return found


def _check_questions(uri: str, answered: set[Question]) -> None:
    """Check that the questions that lie beside an oracle are those that it answers."""
    questions = storage.join(storage.parent(uri), _QUESTIONS)
    if not uri.endswith("/oracle.csv") or not storage.is_file(questions):
        return
    for row, (original, a, b) in read_rows(questions, cells=3):
        if (original, a, b) not in answered:
            reject_row(questions, row, f"has no answer in {uri}; they are not of the same release")


def _against_gold(rows: list[dict[str, Any]]) -> DirectionCheck:
    return check_label_direction(
        NAME,
        "the original, in control questions",
        [row[schema.P_A] for row in rows],
        [
            (row[schema.A] == row[schema.REFERENCE]) - (row[schema.B] == row[schema.REFERENCE])
            for row in rows
        ],
    )


def _against_sizes(rows: list[dict[str, Any]]) -> DirectionCheck:
    rows = [row for row in rows if not row[schema.GOLD]]
    rows = rows[:: max(1, len(rows) // _SIZED)][:_SIZED]
    files = sorted({row[side] for row in rows for side in (schema.A, schema.B)})
    sizes = dict(zip(files, map_in_threads(read_byte_size, files), strict=True))
    return check_label_direction(
        NAME,
        "the larger file (a weak hint)",
        [row[schema.P_A] for row in rows],
        [sizes[row[schema.A]] - sizes[row[schema.B]] for row in rows],
        refuse=False,
    )
