"""Comparisons in; the same with sixteen features and a prediction out."""

import json
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io import storage
from roi_ray.io.columns import with_absolute_uris
from roi_ray.pipeline.options import Options
from roi_ray.preference.comparisons import (
    count_votes,
    drop_gold_and_failed,
    read_comparisons,
    write_comparisons,
)
from roi_ray.preference.examples import scored
from roi_ray.preference.features import (
    describe_provenance,
    join_features,
    read_scores_provenance,
    score_pairs,
)
from roi_ray.preference.measures import agreement
from roi_ray.preference.model import PreferenceModel, load_preference_model
from roi_ray.scoring.scorer import load_networks_for
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL, Settings


@dataclass(frozen=True)
class CompareResult:
    """What `compare` did.

    Attributes:
        output: URI of the comparisons with features and predictions.
        rows: number of comparisons.
        failed: number of comparisons without features.
        agreement: share of people's answers that the prediction agrees with, 0..1, control
            questions left out (see `measures.agreement`); None without answers or without a model.
        errors: up to five different errors of the failed comparisons.
    """

    output: str
    rows: int
    failed: int
    agreement: float | None
    errors: tuple[str, ...]


def compare(
    comparisons_uri: str,
    output: str,
    *,
    scores: str | None = None,
    model: str | None = DEFAULT_PREFERENCE_MODEL,
    settings: Settings | None = None,
    options: Options | None = None,
) -> CompareResult:
    """Score what comparisons compare, join the features to them, and predict whom people prefer.

    Args:
        comparisons_uri: see `read_comparisons`; labels are not needed.
        output: folder, local or `s3://`: gets `comparisons.parquet`, and `_scored/` with the
            images' scores, where an interrupted job goes on.
        scores: an output of `jobs/score.py` to take instead of scoring.
        model: the packaged preference model, or a file that `jobs/train.py` wrote; None for
            features alone, to train on.
        settings: what decides the scores.
        options: how they are made.

    Raises:
        ManifestError: the comparisons or the scores cannot be used.
        WeightsError: the model, or a network's weights, cannot be used.
        OutputError: the output belongs to a run with other settings or of other images, or the
            comparisons would be overwritten.
    """
    comparisons = read_comparisons(comparisons_uri, labels=False)
    output = storage.absolute(output)
    uri = storage.join(output, "comparisons.parquet")
    if comparisons.name in (output, uri):
        raise OutputError(
            f"{uri} would be among the comparisons that it is made of: name another --output"
        )
    preference = load_preference_model(model) if model is not None else None
    if preference is not None:
        # Before anything is scored, which may take days.
        make = _make_of(settings, options) if scores is None else read_scores_provenance(scores)
        preference.check_provenance(make, comparisons.name)
    if scores is None:
        scores = score_pairs(comparisons, storage.join(output, "_scored"), settings, options)
    table = join_features(comparisons, scores)
    table = with_absolute_uris(table, (schema.REFERENCE, *schema.SIDES), comparisons.base)
    if preference is not None:
        table = _with_prediction(table, preference, comparisons.name)
    write_comparisons(uri, table)
    errors = table.filter(pa.array(~scored(table, schema.FEATURES)))[schema.ERROR].to_pylist()
    different = tuple(dict.fromkeys(errors))
    return CompareResult(uri, len(table), len(errors), _agreement(table), different[:5])


def _make_of(settings: Settings | None, options: Options | None) -> str:
    settings, options = settings or Settings(), options or Options()
    weights = load_networks_for(settings, options.weights_dir).provenance
    return describe_provenance({**asdict(settings), "weights": weights})


def _with_prediction(table: pa.Table, model: PreferenceModel, name: str) -> pa.Table:
    p_a = model.predict_table(table, name)
    # Not a number, where a side has no features.
    predicted = pa.array(p_a, pa.float64(), mask=np.isnan(p_a))
    at = table.column_names.index(schema.ERROR)
    table = table.add_column(at, pa.field(schema.P_A_PREFERRED, pa.float64()), predicted)
    return table.replace_schema_metadata({"roi_ray_model": json.dumps(model.identity)})


def _agreement(table: pa.Table) -> float | None:
    if not {schema.P_A, schema.P_A_PREFERRED} <= set(table.column_names):
        return None
    table = drop_gold_and_failed(table)
    said, predicted = (table[name].to_numpy() for name in (schema.P_A, schema.P_A_PREFERRED))
    known = np.isfinite(said) & np.isfinite(predicted)
    if not known.any():
        return None
    agree = agreement(predicted[known], said[known])
    return float(np.average(agree, weights=count_votes(table)[known]))
