"""Join scores to comparisons: every column of the scores that measures quality, for both sides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import ImageError, ManifestError, NonFiniteScore, UsageError
from roi_ray.io.columns import check_columns
from roi_ray.io.tables import find_table_files, read_table
from roi_ray.preference.comparisons.provenance import read_scores_provenance
from roi_ray.preference.comparisons.regions import basic_feature, is_basic, is_empty, to_floats
from roi_ray.preference.comparisons.score_rows import PAIR, find_rows
from roi_ray.preference.comparisons.table import Comparisons

MISSING_SCORES = "MissingScores"
"""`error_kind` of a comparison with an image that has no row in the scores."""

_ADDED = (
    *schema.pair_columns(schema.QUALITY_COLUMNS),
    *schema.PAIR_FRACTIONS,
    schema.SCORED_WITH,
    schema.P_A_PREFERRED,
    schema.ERROR_KIND,
    schema.ERROR,
)


@dataclass(frozen=True)
class _Error:
    text: str
    kind: str | None
    """None for an error that the user gave."""


def join_features(comparisons: Comparisons, scores: str) -> pa.Table:
    """Add features, their provenance and errors to comparisons.

    `score_rows` says how URIs of comparisons and of scores are matched.

    Args:
        comparisons: from `read_comparisons`.
        scores: path or URI of an output of `roi-ray score`.

    Returns:
        the comparisons' columns; `NAME_a` and `NAME_b` for every column `NAME` of the scores that
        measures quality (null where a side has no scores); `roi_fraction_a` and `roi_fraction_b`
        (mean of the mask); `scored_with` (version, weights and settings behind the scores; null if
        unknown); `error` (why a side has no features; null where both have) and `error_kind` (the
        scores' own kind, `MissingScores` or `NonFiniteScore`). Errors that the user gave, which
        have no `error_kind`, are kept; errors of an earlier call are replaced.

        Where the mask is empty (`roi_fraction` below 1e-6), the `roi_` features are null without an
        error: a preference model takes the basic ones in their place (see `regions`).

    Raises:
        ManifestError: none of the comparisons has scores, an image has several, or the scores
            measure no quality.
    """
    rows = _read_scores(scores)
    features = list_features(rows.column_names)
    table = comparisons.table
    errors = _user_errors(table)
    joined = table.drop_columns([name for name in _ADDED if name in table.column_names])
    fractions: list[pa.ChunkedArray] = []
    matches = 0
    for side, indices in find_rows(comparisons, rows, scores).items():
        part = rows.take(pa.array(indices, pa.int64()))
        for row, (index, error) in enumerate(
            zip(indices, _score_errors(part, features), strict=True)
        ):
            if errors[row] is not None:
                continue
            if index is None:
                uri = table[side][row]
                errors[row] = _Error(f"{uri}: not in {scores} (side {side})", MISSING_SCORES)
            elif error is not None:
                errors[row] = _Error(f"{error.text} (side {side})", error.kind)
        matches += sum(index is not None for index in indices)
        for feature in features:
            joined = joined.append_column(f"{feature}_{side}", part[feature])
        fractions.append(part[schema.ROI_FRACTION])
    if matches == 0:
        raise ManifestError(
            f"{scores} has no scores for any of the {len(table)} comparisons: are its 'reference' "
            "and 'distorted' spelled as in the comparisons, or absolute?"
        )
    for name, column in zip(schema.PAIR_FRACTIONS, fractions, strict=True):
        joined = joined.append_column(name, column)
    provenance = pa.repeat(pa.scalar(read_scores_provenance(scores), pa.string()), len(joined))
    texts = [None if error is None else error.text for error in errors]
    kinds = [None if error is None else error.kind for error in errors]
    joined = joined.append_column(schema.SCORED_WITH, provenance)
    joined = joined.append_column(schema.ERROR_KIND, pa.array(kinds, pa.string()))
    return joined.append_column(schema.ERROR, pa.array(texts, pa.string()))


def list_features(columns: Iterable[str]) -> tuple[str, ...]:
    """List the columns of scores that measure quality, in the schema's order."""
    columns = set(columns)
    return tuple(name for name in schema.QUALITY_COLUMNS if name in columns)


def explain_missing(
    features: Sequence[str], owner: str = "the scores", command: str = "score"
) -> str:
    """Name features that scores or comparisons lack, and the command that measures them.

    Args:
        features: names of `schema.QUALITY_COLUMNS`, at least one.
        owner: what lacks them.
        command: the command that made it: `score`, or `compare` for comparisons.
    """
    options = "".join(f" --metrics {name}" for name in schema.list_metrics(features))
    return (
        f"{', '.join(features)}, which {owner} do not have: make them again, with `roi-ray "
        f"{command}{options}` and a new --output"
    )


def check_scores(scores: str, features: Sequence[str], purpose: str) -> None:
    """Check that scores have the columns of features; reads the names of the columns only.

    Args:
        scores: path or URI of an output of `roi-ray score`.
        features: names of `schema.QUALITY_COLUMNS`.
        purpose: what the features are for, such as `the preference model needs`.

    Raises:
        ManifestError: a column is missing, or there are no scores.
    """
    measured = find_table_files(scores, PAIR).column_names
    if not list_features(measured):
        raise ManifestError(
            f"{scores} has no column that measures quality: give an output of `roi-ray score`; the "
            "scores of `roi-ray compare` are in _scored/scores below its --output"
        )
    if missing := [name for name in features if name not in measured]:
        raise ManifestError(f"{purpose} {explain_missing(missing, f'the scores {scores}')}")


def check_features(table: pa.Table, features: tuple[str, ...], name: str) -> None:
    """Check that comparisons have numeric columns of features for both sides.

    Args:
        table: comparisons with features, from `join_features`.
        features: names of `schema.QUALITY_COLUMNS`.
        name: name of the comparisons, for error messages.

    Raises:
        UsageError: a feature is unknown.
        ManifestError: a feature's column is missing; or it, or a column that takes its place where
            there is no region of interest, is not numeric.
    """
    check_names(features)
    columns = schema.pair_columns(features)
    if missing := [
        feature
        for feature in features
        if not {f"{feature}_{side}" for side in schema.SIDES} <= set(table.column_names)
    ]:
        why = explain_missing(missing, f"the comparisons {name}", "compare")
        raise ManifestError(f"this needs the features {why}")
    basic = [f"{basic_feature(feature)}_{side}" for side in schema.SIDES for feature in features]
    others = [name for name in (*basic, *schema.PAIR_FRACTIONS) if name in table.column_names]
    for column in dict.fromkeys([*columns, *others]):
        kind = table.schema.field(column).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
            raise ManifestError(f"comparisons {name}: column {column!r} is {kind}, not numbers")


def check_names(features: Iterable[str]) -> None:
    """Check the names of features.

    Raises:
        UsageError: a feature is unknown.
    """
    if unknown := [name for name in features if name not in schema.QUALITY_COLUMNS]:
        raise UsageError(
            f"unknown feature {unknown[0]!r}: choose from {', '.join(schema.QUALITY_COLUMNS)}"
        )


def _read_scores(uri: str) -> pa.Table:
    """Read the columns that are joined; some scores have no `error_kind` or `roi_fraction`."""
    table, _ = read_table(uri, PAIR)
    features = list_features(table.column_names)
    needed = [*PAIR, *(features or schema.PAPER_FEATURES), schema.ERROR]

    def fail(text: str) -> NoReturn:
        raise ManifestError(f"scores {uri}: {text}; is it an output of `roi-ray score`?")

    check_columns(table, needed, fail)
    if schema.ERROR_KIND not in table.column_names:
        table = table.append_column(schema.ERROR_KIND, pa.nulls(len(table), pa.string()))
    if schema.ROI_FRACTION not in table.column_names:
        table = table.append_column(schema.ROI_FRACTION, pa.nulls(len(table), pa.float64()))
    return table.select([*needed, schema.ROI_FRACTION, schema.ERROR_KIND])


def _score_errors(scores: pa.Table, features: Sequence[str]) -> list[_Error | None]:
    """List the error of each row of scores: its own, or a feature without a number; else None.

    Where the mask is empty, features under it have no number, which is no error.
    """
    values = np.stack([to_floats(scores, name) for name in features], 1)
    under_mask = np.array([not is_basic(name) for name in features])
    empty = is_empty(to_floats(scores, schema.ROI_FRACTION))
    missing = ~np.isfinite(values) & ~(empty[:, None] & under_mask)
    errors: list[_Error | None] = []
    columns = (scores[name].to_pylist() for name in (schema.ERROR, schema.ERROR_KIND))
    for text, kind, gaps in zip(*columns, missing, strict=True):
        if text:
            errors.append(_Error(text, kind or ImageError.__name__))
        elif gaps.any():
            missing_number = f"the scores have no number for {features[gaps.argmax()]}"
            errors.append(_Error(missing_number, NonFiniteScore.__name__))
        else:
            errors.append(None)
    return errors


def _user_errors(table: pa.Table) -> list[_Error | None]:
    """List each comparison's error from the user, or None; the user's errors have no kind."""
    texts, kinds = (
        table[name].to_pylist() if name in table.column_names else [None] * len(table)
        for name in (schema.ERROR, schema.ERROR_KIND)
    )
    return [
        _Error(text, None) if text and not kind else None
        for text, kind in zip(texts, kinds, strict=True)
    ]
