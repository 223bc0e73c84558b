"""Sixteen features of each comparison: every distinct image scored once, then joined.

However many comparisons share an image, it goes through the pipeline of `jobs/score.py` once.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.errors import ManifestError, OutputError
from roi_ray.io import storage
from roi_ray.io.columns import check_columns
from roi_ray.io.tables import read_table
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.pipeline.run_record import RUN_JSON, Run, read_run
from roi_ray.preference.comparisons import Comparisons
from roi_ray.runtime.logs import LOGGER
from roi_ray.settings import Settings

# A reference and an image that is compared with it.
_Uris = tuple[str, str]

_PAIR = [schema.REFERENCE, schema.DISTORTED]
_MISSING = "MissingScores: "
_SIDE = {side: f" (side {side})" for side in schema.SIDES}
_SCORED = [*_PAIR, *schema.FEATURES, schema.ERROR]


def score_pairs(
    comparisons: Comparisons,
    folder: str,
    settings: Settings | None = None,
    options: Options | None = None,
) -> str:
    """Score every distinct (reference, image) of comparisons; an interrupted run is gone on with.

    Args:
        comparisons: from `read_comparisons`.
        folder: gets `pairs.parquet`, the manifest of what is scored, and `scores/`.
        settings: what decides the numbers.
        options: how the job runs.

    Returns:
        URI of the scores.

    Raises:
        WeightsError, OutputError: see `score_manifest`.
    """
    manifest, scores = (storage.join(folder, name) for name in ("pairs.parquet", "scores"))
    pairs = distinct_pairs(comparisons)
    begun = storage.is_file(storage.join(scores, *RUN_JSON)) and storage.is_file(manifest)
    if not begun:
        buffer = io.BytesIO()
        pq.write_table(pairs, buffer)
        storage.write_bytes(manifest, buffer.getvalue())
    elif not pairs.equals(read_table(manifest, _PAIR)[0]):
        raise OutputError(
            f"{folder} has the scores of other comparisons' images: name another --output"
        )
    # The manifest is ours, and lies elsewhere than what it names.
    options = options or Options()
    options = replace(options, allow_prefixes=(*options.allow_prefixes, comparisons.base))
    return score_manifest(manifest, scores, settings, options).output


def distinct_pairs(comparisons: Comparisons) -> pa.Table:
    """The manifest of all (reference, image) in comparisons, each once, absolute, sorted."""
    table, base = comparisons.table, comparisons.base
    sides = [
        table.select([schema.REFERENCE, side]).rename_columns(_PAIR)
        for side in (schema.A, schema.B)
    ]
    order = [(name, "ascending") for name in _PAIR]
    written = pa.concat_tables(sides).group_by(_PAIR).aggregate([]).sort_by(order)
    # One image may be spelled in several ways: the first one counts. A detour is left to the
    # storage, as with links in it it may lead elsewhere.
    first: dict[str, str] = {}
    absolute = {
        name: [
            first.setdefault(_absolute(uri, base), storage.resolve(uri, base))
            for uri in written[name].to_pylist()
        ]
        for name in _PAIR
    }
    return pa.table(absolute).group_by(_PAIR).aggregate([]).sort_by(order)


def join_features(comparisons: Comparisons, scores: str) -> pa.Table:
    """The comparisons with their sixteen features and an `error`.

    Scores are found by the two URIs made absolute: of comparisons by their folder, of scores by
    that of their manifest. Where none is found, or the scores' folder is not known, they are found
    by the URIs as they are spelled, or as those of the comparisons are when made absolute.

    Args:
        comparisons: from `read_comparisons`.
        scores: URI of an output of `jobs/score.py`.

    Returns:
        the comparisons' columns, `schema.PAIR_FEATURES`, `scored_with` (weights and settings that
        made the scores; null where their `_run/run.json` is not there) and `error`: null, or why a
        side has no features, which are null then; one that the comparisons have themselves stays.

    Raises:
        ManifestError: no comparison at all has scores, one has several, or the scores lack a
            column.
    """
    rows = _read_scores(scores)
    table = comparisons.table
    errors = _own_errors(table)
    joined = table.drop_columns([n for n in _added() if n in table.column_names])
    found = 0
    for side, at in _find(comparisons, rows, scores).items():
        part = rows.take(pa.array(at, pa.int64()))
        lacking = _lacking(part)
        for row, (place, failed) in enumerate(zip(at, part[schema.ERROR].to_pylist(), strict=True)):
            if place is None:
                errors[row] = errors[row] or f"{_MISSING}{side}: {table[side][row]} in {scores}"
            elif reason := failed or lacking[row]:
                errors[row] = errors[row] or f"{reason}{_SIDE[side]}"
        found += sum(place is not None for place in at)
        for feature in schema.FEATURES:
            joined = joined.append_column(f"{feature}_{side}", part[feature])
    if found == 0:
        raise ManifestError(
            f"{scores} has scores of none of the {len(table)} comparisons' images: are its "
            "'reference' and 'distorted' spelled as in the comparisons, or absolute?"
        )
    made_by = pa.repeat(pa.scalar(read_scores_provenance(scores), pa.string()), len(joined))
    joined = joined.append_column(schema.SCORED_WITH, made_by)
    return joined.append_column(schema.ERROR, pa.array(errors, pa.string()))


def _lacking(scores: pa.Table) -> list[str | None]:
    """Of each row, what is wrong with its features; None where all are numbers."""
    values = np.stack([scores[name].to_numpy().astype(float) for name in schema.FEATURES], 1)
    missing = ~np.isfinite(values)
    first = missing.argmax(1)
    return [
        f"the scores have no number for {schema.FEATURES[at]}" if any_ else None
        for at, any_ in zip(first, missing.any(1), strict=True)
    ]


def _own_errors(table: pa.Table) -> list[str | None]:
    """An error of the comparisons' own stays; one from an earlier join does not."""
    if schema.ERROR not in table.column_names:
        return [None] * len(table)
    return [
        None
        if text and (text.startswith(_MISSING) or text.endswith(tuple(_SIDE.values())))
        else text
        for text in table[schema.ERROR].to_pylist()
    ]


def _find(comparisons: Comparisons, rows: pa.Table, scores: str) -> dict[str, list[int | None]]:
    """For each side, the rows that have its images' scores; None where there is none."""
    table, base = comparisons.table, comparisons.base
    references = table[schema.REFERENCE].to_pylist()
    written: dict[str, list[_Uris]] = {
        side: list(zip(references, table[side].to_pylist(), strict=True)) for side in schema.SIDES
    }
    absolute = {side: [_both(pair, base) for pair in pairs] for side, pairs in written.items()}
    scored: list[_Uris] = list(zip(*(rows[n].to_pylist() for n in _PAIR), strict=True))
    folder = _folder_of_scores(scores)
    if folder is not None:
        places = _Places([_both(pair, folder) for pair in scored], scores)
        found = {side: list(map(places.row, pairs)) for side, pairs in absolute.items()}
        if any(row is not None for at in found.values() for row in at):
            return found
        LOGGER.warning(
            "the images of %s were below %s, and those of the comparisons are below %s: taken for "
            "the same where they are spelled alike",
            scores,
            folder,
            base,
        )
    places = _Places(scored, scores)
    return {
        side: [
            places.row(pair if pair in places else spelled)
            for pair, spelled in zip(pairs, absolute[side], strict=True)
        ]
        for side, pairs in written.items()
    }


class _Places:
    """In which row the scores of a (reference, image) are."""

    def __init__(self, scored: Sequence[_Uris], scores: str) -> None:
        self._scores = scores
        self._rows: dict[_Uris, int] = {}
        self._twice = set()
        for row, pair in enumerate(scored):
            if self._rows.setdefault(pair, row) != row:
                self._twice.add(pair)

    def __contains__(self, pair: _Uris) -> bool:
        return pair in self._rows

    def row(self, pair: _Uris) -> int | None:
        if pair in self._twice:
            raise ManifestError(
                f"{self._scores} has several rows for {pair[1]} with the reference {pair[0]}: "
                "under several masks? give scores with one"
            )
        return self._rows.get(pair)


def scored_with(table: pa.Table, name: str) -> str | None:
    """What made the features of comparisons; None if that is not known.

    Raises:
        ManifestError: not all of them were made alike.
    """
    if schema.SCORED_WITH not in table.column_names:
        return None
    made_by: list[str] = pc.unique(table[schema.SCORED_WITH].drop_null()).to_pylist()
    if len(made_by) > 1:
        raise ManifestError(
            f"comparisons {name} have features of different makes, which cannot be compared: "
            + "; ".join(made_by)
        )
    return made_by[0] if made_by else None


def check_features(table: pa.Table, features: tuple[str, ...], name: str) -> None:
    """Check that a table of comparisons has features of both sides.

    Args:
        table: comparisons with features, as `join_features` gives them.
        features: names of `schema.FEATURES`.
        name: of the table, for the error.

    Raises:
        ManifestError: an unknown feature, or one without a column of numbers.
    """
    if unknown := [feature for feature in features if feature not in schema.FEATURES]:
        raise ManifestError(
            f"unknown feature {unknown[0]!r}; there are {', '.join(schema.FEATURES)}"
        )
    wanted = [f"{feature}_{side}" for side in schema.SIDES for feature in features]
    if missing := [column for column in wanted if column not in table.column_names]:
        raise ManifestError(
            f"comparisons {name} have no column {missing[0]!r}; "
            "jobs/compare.py adds the features to comparisons"
        )
    for column in wanted:
        kind = table.schema.field(column).type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
            raise ManifestError(f"comparisons {name}: column {column!r} is {kind}, not numbers")


def _read_scores(uri: str) -> pa.Table:
    table, _ = read_table(uri, _PAIR)

    def fail(text: str) -> NoReturn:
        raise ManifestError(f"scores {uri}: {text}; is it an output of jobs/score.py?")

    check_columns(table, _SCORED, fail)
    return table.select(_SCORED)


def describe_provenance(config: Mapping[str, Any]) -> str:
    """Weights and settings in one line, from a run's `roi_weighting`, `precision` and `weights`."""
    made_by = [f"{name}={config[name]}" for name in ("roi_weighting", "precision")]
    for network, files in sorted(config["weights"].items()):
        named = "+".join(f"{file['name']}:{file['sha256'][:12]}" for file in files)
        made_by.append(f"{network}={named}")
    return " ".join(made_by)


def read_scores_provenance(scores: str) -> str | None:
    """The same, from what the scores' job wrote beside them; None if it is not there."""
    run = _run_of(scores)
    return None if run is None else describe_provenance(run["config"])


def _absolute(uri: str, base: str) -> str:
    return storage.normalize(storage.resolve(uri, base))


def _both(pair: _Uris, base: str) -> _Uris:
    return _absolute(pair[0], base), _absolute(pair[1], base)


def _folder_of_scores(scores: str) -> str | None:
    """What the URIs of scores are relative to; None if that is not known."""
    run = _run_of(scores)
    return None if run is None else run.get("manifest", {}).get("base")


def _run_of(scores: str) -> Run | None:
    """What the scores' job wrote beside them."""
    uri = storage.absolute(scores)
    return read_run(uri) if storage.is_file(storage.join(uri, *RUN_JSON)) else None


def _added() -> tuple[str, ...]:
    return (*schema.PAIR_FEATURES, schema.SCORED_WITH, schema.ERROR, schema.P_A_PREFERRED)
