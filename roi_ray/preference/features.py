"""Sixteen features of each comparison: every distinct image scored once, then joined.

However many comparisons share an image, it goes through the pipeline of `jobs/score.py` once.
"""

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from roi_ray import schema, storage
from roi_ray.errors import ManifestError
from roi_ray.pipeline.output import RUN_JSON, read_run
from roi_ray.pipeline.run import Options, score_manifest
from roi_ray.preference.comparisons import Comparisons
from roi_ray.scorer import Settings
from roi_ray.tables import check_columns, read_table

_PAIR = [schema.REFERENCE, schema.DISTORTED]
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
    manifest = storage.join(folder, "pairs.parquet")
    buffer = io.BytesIO()
    pq.write_table(distinct_pairs(comparisons), buffer)
    storage.write_bytes(manifest, buffer.getvalue())
    # The manifest is ours, and lies elsewhere than what it names.
    options = options or Options()
    options = replace(options, allow=(*options.allow, comparisons.base))
    return score_manifest(manifest, storage.join(folder, "scores"), settings, options).output


def distinct_pairs(comparisons: Comparisons) -> pa.Table:
    """The manifest of all (reference, image) in comparisons, each once, absolute, sorted."""
    table, base = comparisons.table, comparisons.base
    sides = [
        table.select([schema.REFERENCE, side]).rename_columns(_PAIR)
        for side in (schema.A, schema.B)
    ]
    written = pa.concat_tables(sides).group_by(_PAIR).aggregate([])
    absolute = {
        name: [storage.resolve(uri, base) for uri in written[name].to_pylist()] for name in _PAIR
    }
    # Once more: one image may be spelled in two ways.
    pairs = pa.table(absolute).group_by(_PAIR).aggregate([])
    return pairs.sort_by([(name, "ascending") for name in _PAIR])


def join_features(comparisons: Comparisons, scores: str) -> pa.Table:
    """The comparisons with their sixteen features and an `error`.

    Scores are found by the two URIs as the comparison spells them, or made absolute.

    Args:
        comparisons: from `read_comparisons`.
        scores: URI of an output of `jobs/score.py`.

    Returns:
        the comparisons' columns, `schema.PAIR_FEATURES`, `scored_with` (weights and settings that
        made the scores; null where their `_run/run.json` is not there) and `error`: null, or why a
        side has no features, which are null then.

    Raises:
        ManifestError: no comparison at all has scores, one has several, or the scores lack a
            column.
    """
    rows = _read_scores(scores)
    places: dict[tuple[str, str], int] = {}
    twice = set()
    for row, pair in enumerate(zip(*(rows[n].to_pylist() for n in _PAIR), strict=True)):
        if places.setdefault(pair, row) != row:
            twice.add(pair)
    table = comparisons.table
    references = table[schema.REFERENCE].to_pylist()
    errors: list[str | None] = [None] * len(table)
    joined = table.drop_columns([n for n in _added() if n in table.column_names])
    found = 0
    for side in schema.SIDES:
        at = []
        for reference, image in zip(references, table[side].to_pylist(), strict=True):
            pair = (reference, image)
            if pair not in places:
                pair = _absolute(reference, image, comparisons.base)
            if pair in twice:
                raise ManifestError(
                    f"{scores} has several rows for {image} with the reference {reference}: under "
                    "several masks? give scores with one"
                )
            at.append(places.get(pair))
        part = rows.take(pa.array(at, pa.int64()))
        for row, (place, failed) in enumerate(zip(at, part[schema.ERROR].to_pylist(), strict=True)):
            if place is None:
                errors[row] = (
                    errors[row] or f"MissingScores: {side}: {table[side][row]} in {scores}"
                )
            elif failed is not None:
                errors[row] = errors[row] or f"{failed} (side {side})"
        found += sum(place is not None for place in at)
        for feature in schema.FEATURES:
            joined = joined.append_column(f"{feature}_{side}", part[feature])
    if found == 0:
        raise ManifestError(
            f"{scores} has scores of none of the {len(table)} comparisons' images: are its "
            "'reference' and 'distorted' spelled as in the comparisons, or absolute?"
        )
    made_by = pa.repeat(pa.scalar(make_of_scores(scores), pa.string()), len(joined))
    joined = joined.append_column(schema.SCORED_WITH, made_by)
    return joined.append_column(schema.ERROR, pa.array(errors, pa.string()))


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


def make_of(config: Mapping[str, Any]) -> str:
    """Weights and settings in one line, from a run's `roi_weighting`, `precision` and `weights`."""
    made_by = [f"{name}={config[name]}" for name in ("roi_weighting", "precision")]
    for network, files in sorted(config["weights"].items()):
        named = "+".join(f"{file['name']}:{file['sha256'][:12]}" for file in files)
        made_by.append(f"{network}={named}")
    return " ".join(made_by)


def make_of_scores(scores: str) -> str | None:
    """The same, from what the scores' job wrote beside them; None if it is not there."""
    uri = storage.absolute(scores)
    if not storage.is_file(storage.join(uri, *RUN_JSON)):
        return None
    return make_of(read_run(uri)["config"])


def _absolute(reference: str, image: str, base: str) -> tuple[str, str]:
    return storage.resolve(reference, base), storage.resolve(image, base)


def _added() -> tuple[str, ...]:
    return (*schema.PAIR_FEATURES, schema.SCORED_WITH, schema.ERROR, schema.P_A_PREFERRED)
