"""Comparisons of images of which some have an empty mask, from their scores to a ranking."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import roi_ray
from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.regions import basic_feature
from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from tests.conftest import jpeg

QUALITIES = (10, 40, 90)


@pytest.fixture(scope="module")
def scores(photos):
    """Scores of three JPEGs each of three photographs, the last of which has an empty mask."""
    scorer = Scorer(Settings(metrics=schema.OPTIONAL_METRICS))
    scores = {}
    for name in ("coffee", "chelsea", "astronaut"):
        x = photos[name][:180, :200]
        mask = np.zeros(x.shape[:2], np.uint8) if name == "astronaut" else None
        images = [jpeg(x, quality) for quality in QUALITIES]
        scores[name] = scorer.score(scorer.prepare(x, mask), images)
    return scores


@pytest.fixture
def compared(tmp_path, scores):
    """The result of `compare` with these scores, and its table."""
    rows = [
        {"reference": f"/{name}", "distorted": f"/{name}-{quality}", **numbers.to_dict()}
        for name, of_name in scores.items()
        for quality, numbers in zip(QUALITIES, of_name, strict=True)
    ]
    table = pa.Table.from_pylist([{**row, "error": None} for row in rows])
    (tmp_path / "scores").mkdir()
    pq.write_table(table, tmp_path / "scores" / "shard-000000.parquet")
    choices = [
        {
            "reference": f"/{name}",
            "a": f"/{name}-{a}",
            "b": f"/{name}-{b}",
            "p_a": float(a > b),
            "method_a": f"jpeg-{a}",
            "method_b": f"jpeg-{b}",
        }
        for name in scores
        for a, b in ((10, 40), (90, 10), (40, 90))
    ]
    pq.write_table(pa.Table.from_pylist(choices), tmp_path / "choices.parquet")
    result = roi_ray.compare(
        tmp_path / "choices.parquet", tmp_path / "out", scores=str(tmp_path / "scores")
    )
    return result, pq.read_table(result.output)


def test_empty_mask_is_predicted_by_basic_features_and_stays_null(compared, scores):
    result, table = compared
    assert (result.failed, result.without_region, result.rows) == (0, 3, 9)
    assert table["error"].null_count == 9
    for name in [n for n in schema.QUALITY_COLUMNS if basic_feature(n) != n]:
        for side in schema.SIDES:
            values = table[f"{name}_{side}"].to_pylist()
            assert values[6:] == [None] * 3 and None not in values[:6]
    assert table["roi_fraction_a"].to_pylist()[6:] == [0.0] * 3
    model = load_preference_model()
    basic = [basic_feature(name) for name in model.features]
    by_quality = dict(zip(QUALITIES, scores["astronaut"], strict=True))
    predicted = table["p_a_preferred"].to_pylist()
    for row, (a, b) in enumerate(((10, 40), (90, 10), (40, 90)), start=6):
        x, y = ([[getattr(by_quality[q], name) for name in basic]] for q in (a, b))
        assert model.predict(x, y)[0] == predicted[row]
        assert (predicted[row] > 0.5) == (a > b)


def test_scores_without_what_the_model_needs_are_refused_first(compared, tmp_path):
    _, table = compared
    scores = tmp_path / "scores"
    whole = pq.read_table(scores)
    pq.write_table(
        whole.drop_columns([name for name in whole.column_names if "ssimulacra2" in name]),
        scores / "shard-000000.parquet",
    )
    choices, output = tmp_path / "choices.parquet", tmp_path / "refused"
    options = r"`roi-ray score --metrics ssimulacra2` and a new --output"
    with pytest.raises(
        ManifestError,
        match=f"^the preference model needs .*ssimulacra2.*, which the scores {scores} do not "
        f"have: make them again, with {options}$",
    ):
        roi_ray.compare(choices, output, scores=str(scores))
    asked = roi_ray.Settings(metrics=("ssimulacra2",))
    with pytest.raises(ManifestError, match=f"^--metrics asks for ssimulacra2, .*{options}$"):
        roi_ray.compare(choices, output, scores=str(scores), model=None, settings=asked)
    assert not output.exists()
    result = roi_ray.compare(choices, output, scores=str(scores), model=None)
    assert result.failed == 0
    assert "ssimulacra2_a" not in pq.read_table(result.output).column_names
    assert {"ssimulacra2_a", "roi_ssimulacra2_b", "mse_cb_a"} <= set(table.column_names)


def test_ranking_by_predictions_counts_rows_with_an_empty_mask(compared):
    result, _ = compared
    ranks = roi_ray.rank(result.output, "method", "p_a_preferred")
    assert [(rank.name, rank.answers) for rank in ranks] == [
        ("jpeg-90", 6),
        ("jpeg-40", 6),
        ("jpeg-10", 6),
    ]
