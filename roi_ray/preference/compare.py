"""Add features and a prediction to comparisons, for `roi-ray compare`."""

import json
from dataclasses import dataclass, replace
from os import PathLike, fspath

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.io import storage
from roi_ray.io.columns import with_absolute_uris
from roi_ray.pipeline.options import Options
from roi_ray.preference.comparisons.examples import has_features
from roi_ray.preference.comparisons.features import check_scores, join_features, list_features
from roi_ray.preference.comparisons.pairs import score_pairs
from roi_ray.preference.comparisons.provenance import read_scores_provenance
from roi_ray.preference.comparisons.regions import lack_region
from roi_ray.preference.comparisons.table import (
    count_votes,
    drop_gold_and_failed,
    read_comparisons,
    write_comparisons,
)
from roi_ray.preference.model.needs import add_needs, describe_scoring
from roi_ray.preference.model.preference_model import PreferenceModel, load_preference_model
from roi_ray.preference.model.recipes import DEFAULT_RECIPE, RECIPES
from roi_ray.preference.statistics.measures import agreement
from roi_ray.scoring.scorer import load_networks_for
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL, Settings


@dataclass(frozen=True)
class CompareResult:
    """Result of `compare`.

    Attributes:
        output: URI of the comparisons with features and predictions.
        rows: number of comparisons.
        failed: number of comparisons without features.
        without_region: number of comparisons with features but without a region of interest, where
            the model takes the basic features in place of those under the mask.
        agreement: share of people's answers that the prediction agrees with, 0..1, control
            questions left out (see `measures.agreement`); None without answers or without a model.
        errors: up to five different errors of the failed comparisons.
    """

    output: str
    rows: int
    failed: int
    without_region: int
    agreement: float | None
    errors: tuple[str, ...]


def compare(
    comparisons: str | PathLike[str],
    output: str | PathLike[str],
    *,
    scores: str | None = None,
    model: str | None = DEFAULT_PREFERENCE_MODEL,
    settings: Settings | None = None,
    options: Options | None = None,
) -> CompareResult:
    r"""Score the images of comparisons, add the features, and predict which image people prefer.

    Each distinct image is scored once, however many comparisons share it. A run that was
    interrupted continues where it stopped.

    Args:
        comparisons: path or `s3://` URI of comparisons, see `read_comparisons`; they need no
            answers.
        output: folder, local or `s3://`, for `comparisons.parquet` and for the scores, which are
            kept in `_scored/`.
        scores: output of `roi-ray score` to use instead of scoring.
        model: name of the packaged preference model, or path or `s3://` URI of a model that
            `roi-ray train` wrote; None to add the features only, to train on them.
        settings: networks and metrics that decide the scores. Optional metrics are added that the
            model, or without one the default recipe, needs; the precision `auto` is that of the
            scores that the model was trained on.
        options: options of the scoring job.

    Returns:
        URI of the result, number of failures, and agreement of the prediction with people's
        answers.

    Raises:
        ManifestError: the comparisons or the scores cannot be used; the scores lack what the model
            needs, or have another scoring version, other weights or settings than those that the
            model was trained on.
        WeightsError: the model, or the weights of a network, cannot be used.
        OutputError: the output holds a run with other settings or other images, or the comparisons
            would be overwritten.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from roi_ray.sweep import photographs
        >>> folder = Path(tempfile.mkdtemp())
        >>> photo = Image.open(photographs()["chelsea"]).crop((100, 50, 300, 250))
        >>> photo.save(folder / "x.png")
        >>> photo.save(folder / "fine.jpg", quality=90)
        >>> photo.save(folder / "coarse.jpg", quality=10)
        >>> _ = (folder / "choices.csv").write_text(
        ...     "reference,a,b,p_a\nx.png,fine.jpg,coarse.jpg,0.9\n"
        ... )
        >>> result = compare(folder / "choices.csv", folder / "compared")
        >>> result.rows, result.failed, result.agreement
        (1, 0, 0.9)
        >>> import pyarrow.parquet as pq
        >>> pq.read_table(result.output)["p_a_preferred"][0].as_py() > 0.5
        True
    """
    checked = read_comparisons(fspath(comparisons), labels=False)
    folder = storage.absolute(fspath(output))
    uri = storage.join(folder, "comparisons.parquet")
    if checked.name in (folder, uri):
        raise OutputError(f"{uri} would overwrite the comparisons: name another --output")
    preference = load_preference_model(model) if model is not None else None
    settings = settings or Settings()
    if scores is not None:
        _check_columns(scores, preference, settings)
    if preference is None:
        # Features without a prediction are for training.
        metrics = schema.list_metrics(RECIPES[DEFAULT_RECIPE].features)
        settings = replace(settings, metrics=(*settings.metrics, *metrics))
    else:
        settings = add_needs(preference, settings)
        # Check before scoring, which may take days.
        provenance = (
            _planned_provenance(settings, options)
            if scores is None
            else read_scores_provenance(scores)
        )
        preference.check_provenance(provenance, checked.name)
    if scores is None:
        scores = score_pairs(checked, storage.join(folder, "_scored"), settings, options)
    table = join_features(checked, scores)
    table = with_absolute_uris(table, (schema.REFERENCE, *schema.SIDES), checked.base)
    if preference is not None:
        table = _add_prediction(table, preference, checked.name)
    write_comparisons(uri, table)
    measured = list_features(name.removesuffix("_a") for name in table.column_names)
    complete = has_features(table, measured)
    failed = table.filter(pa.array(~complete))
    kinds, texts = (failed[name].to_pylist() for name in (schema.ERROR_KIND, schema.ERROR))
    errors = (f"{kind}: {text}" if kind else text for kind, text in zip(kinds, texts, strict=True))
    distinct = tuple(dict.fromkeys(errors))
    without_region = int((complete & lack_region(table)).sum())
    return CompareResult(
        uri, len(table), len(failed), without_region, _agreement(table), distinct[:5]
    )


def _check_columns(scores: str, model: PreferenceModel | None, settings: Settings) -> None:
    """Check that given scores have what the model needs, and the metrics that were asked for."""
    if model is not None:
        check_scores(scores, model.features, "the preference model needs")
    asked = [n for n in schema.QUALITY_COLUMNS if schema.optional_metric(n) in settings.metrics]
    check_scores(scores, asked, "--metrics asks for")


def _planned_provenance(settings: Settings, options: Options | None) -> str:
    """Describe the version, weights and settings that the images are going to be scored with."""
    options = options or Options()
    weights = load_networks_for(settings, options.weights_dir).provenance
    return describe_scoring(settings, weights)


def _add_prediction(table: pa.Table, model: PreferenceModel, name: str) -> pa.Table:
    p_a = model.predict_table(table, name)
    predicted = pa.array(p_a, pa.float64(), mask=np.isnan(p_a))
    index = table.column_names.index(schema.ERROR_KIND)
    table = table.add_column(index, pa.field(schema.P_A_PREFERRED, pa.float64()), predicted)
    return table.replace_schema_metadata({"roi_ray_model": json.dumps(model.identity)})


def _agreement(table: pa.Table) -> float | None:
    if not {schema.P_A, schema.P_A_PREFERRED} <= set(table.column_names):
        return None
    table = drop_gold_and_failed(table)
    answered, predicted = (table[name].to_numpy() for name in (schema.P_A, schema.P_A_PREFERRED))
    known = np.isfinite(answered) & np.isfinite(predicted)
    if not known.any():
        return None
    agrees = agreement(predicted[known], answered[known])
    return float(np.average(agrees, weights=count_votes(table)[known]))
