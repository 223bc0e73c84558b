"""Questions from comparisons, answered or not.

Each distinct pair of images is asked about once. A control question (`gold`) needs its right
answer: that of `expected_p_a` where the comparisons are an export of `roi-ray vote`; else the
original, where it is one of the two candidates; else `p_a`, if it is 0 or 1.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io.columns import as_type
from roi_ray.preference.comparisons.features import list_features
from roi_ray.preference.comparisons.regions import to_floats
from roi_ray.preference.comparisons.table import (
    Comparisons,
    canonical_uris,
    mark_failed,
    mark_gold,
    read_comparisons,
)
from roi_ray.votes.questions.collected import (
    QUESTION_COLUMNS,
    Collected,
    add_answers,
    telling_columns,
)
from roi_ray.votes.questions.table import make_key

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_STEMS = {name.removesuffix("_a") for name in QUESTION_COLUMNS if name.endswith("_a")}

FAILED = "pairs with an error"
IDENTICAL = "pairs of identical images"
UNKNOWN = "control questions whose right answer is not known, as p_a is not 0 or 1"
CONTRADICTORY = "control questions with rows that contradict each other"


@dataclass
class _Pair:
    """What the rows of one pair say.

    Attributes:
        row: the first row that may be asked.
        is_asked: whether a row asks for people's opinion, and not whether they pay attention.
        expected: the different right answers of control questions, for the sides of `row`.
    """

    row: int
    is_asked: bool = False
    expected: set[float] = field(default_factory=set)


def collect_comparisons(uri: str) -> Collected:
    """Make questions of comparisons.

    Args:
        uri: path or URI of comparisons, see `read_comparisons`.

    Raises:
        ManifestError: the comparisons cannot be used.
    """
    comparisons = read_comparisons(uri, labels=False)
    table = _with_canonical_uris(comparisons)
    uris = [table[name].to_pylist() for name in schema.COMPARISON_URIS]
    keys = [make_key(*names) for names in zip(*uris, strict=True)]
    # An error of a row with a `vote_id` is about the answer, such as a hasty one.
    failed = mark_failed(table) & ~_is_vote(table)
    answers = _right_answers(table, uris, comparisons.name)
    asked = ~mark_gold(table) | (_is_vote(table) & np.isnan(answers))
    pairs = _group_rows(keys, uris[1], asked, answers, failed)
    left_out = Counter({FAILED: len(set(keys)) - len(pairs)})
    known = _select(table, comparisons.name)
    same = _identical(known)
    rows, expected = [], []
    for pair in pairs.values():
        reason, answer = _judge(pair, same[pair.row])
        if reason:
            left_out[reason] += 1
        else:
            rows.append(pair.row)
            expected.append(answer)
    chosen = known.take(pa.array(rows, pa.int64()))
    chosen = add_answers(chosen, [keys[row] for row in rows], np.array(expected, np.float64))
    return Collected(chosen, comparisons.name, comparisons.base, left_out)


def _with_canonical_uris(comparisons: Comparisons) -> pa.Table:
    table = comparisons.table
    for name in schema.COMPARISON_URIS:
        column = canonical_uris(table[name], comparisons.base)
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _select(table: pa.Table, name: str) -> pa.Table:
    """Select the columns of questions; those of sides only if both sides have them."""

    def fail(text: str) -> NoReturn:
        raise ManifestError(f"comparisons {name}: {text}")

    other = {f"{stem}_{x}": f"{stem}_{y}" for stem in _STEMS for x, y in ("ab", "ba")}
    names = set(table.column_names)
    kept = [name for name in QUESTION_COLUMNS if {name, other.get(name, name)} <= names]
    table = table.select(kept)
    for column in kept:
        if column not in schema.COMPARISON:
            kind = pa.string() if column == schema.SCORED_WITH else pa.float64()
            table = as_type(table, column, kind, fail)
    return table


def _is_vote(table: pa.Table) -> Mask:
    """Mark rows that `roi-ray vote` has exported, (N,)."""
    if schema.VOTE_ID not in table.column_names:
        return np.zeros(len(table), np.bool_)
    marks: Mask = pc.is_valid(table[schema.VOTE_ID]).to_numpy().astype(np.bool_)
    return marks


def _right_answers(table: pa.Table, uris: list[list[str]], name: str) -> Floats:
    """Find the right `p_a` of each row as a control question, 0 or 1; NaN if unknown, (N,)."""

    def fail(text: str) -> NoReturn:
        raise ManifestError(f"comparisons {name}: {text}")

    def read(column: str) -> Floats:
        if column not in table.column_names:
            return np.full(len(table), np.nan)
        return to_floats(as_type(table, column, pa.float64(), fail), column)

    expected, p_a = read(schema.EXPECTED_P_A), read(schema.P_A)
    # The `p_a` of a vote is what a rater answered.
    given = np.where(_is_vote(table) | np.isfinite(expected), expected, p_a)
    answers = np.where((given == 0) | (given == 1), given, np.nan)
    reference, a, b = (np.array(column, object) for column in uris)
    return np.where(a == reference, 1.0, np.where(b == reference, 0.0, answers))


def _group_rows(
    keys: list[str], a: list[str], asked: Mask, answers: Floats, failed: Mask
) -> dict[str, _Pair]:
    """Group the rows that may be asked by their pair, in the order of the rows."""
    pairs: dict[str, _Pair] = {}
    for row in np.flatnonzero(~failed).tolist():
        pair = pairs.setdefault(keys[row], _Pair(row))
        if asked[row]:
            pair.is_asked = True
        elif np.isfinite(answers[row]):
            is_swapped = a[row] != a[pair.row]
            pair.expected.add(float(1 - answers[row] if is_swapped else answers[row]))
    return pairs


def _judge(pair: _Pair, is_identical: bool) -> tuple[str | None, float]:
    """Return why a pair is left out, or None; and its right answer, or NaN."""
    if is_identical:
        return IDENTICAL, np.nan
    if len(pair.expected) > 1:
        return CONTRADICTORY, np.nan
    if pair.expected:
        return None, pair.expected.pop()
    return (None if pair.is_asked else UNKNOWN), np.nan


def _identical(table: pa.Table) -> Mask:
    """Mark the rows whose features say that both images have the same pixels, (N,)."""
    names = set(table.column_names)
    measured = list_features(
        name for name in schema.QUALITY_COLUMNS if {f"{name}_a", f"{name}_b"} <= names
    )
    telling = telling_columns(measured)
    same = np.full(len(table), bool(telling))
    for name in telling:
        a, b = (to_floats(table, f"{name}_{side}").astype(np.float32) for side in schema.SIDES)
        same &= a == b
    return same
