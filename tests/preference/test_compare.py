"""Comparisons of images of which some have an empty mask, from their scores to a ranking."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import roi_ray
from roi_ray import schema
from roi_ray.preference.model import load_preference_model
from roi_ray.scoring.scorer import Scorer
from tests.conftest import jpeg

QUALITIES = (10, 40, 90)


@pytest.fixture(scope="module")
def scores(photos):
    """Scores of three JPEGs each of three photographs, the last of which has an empty mask."""
    scorer = Scorer()
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
    for name in schema.ROI_FEATURES:
        for side in schema.SIDES:
            values = table[f"{name}_{side}"].to_pylist()
            assert values[6:] == [None] * 3 and None not in values[:6]
    assert table["roi_fraction_a"].to_pylist()[6:] == [0.0] * 3
    by_quality = dict(zip(QUALITIES, scores["astronaut"], strict=True))
    predicted = table["p_a_preferred"].to_pylist()
    for row, (a, b) in enumerate(((10, 40), (90, 10), (40, 90)), start=6):
        x, y = (
            [[getattr(by_quality[q], name) for name in schema.BASIC_FEATURES * 2]] for q in (a, b)
        )
        assert load_preference_model().predict(x, y)[0] == predicted[row]
        assert (predicted[row] > 0.5) == (a > b)


def test_ranking_by_predictions_counts_rows_with_an_empty_mask(compared):
    result, _ = compared
    ranks = roi_ray.rank(result.output, "method", "p_a_preferred")
    assert [(rank.name, rank.answers) for rank in ranks] == [
        ("jpeg-90", 6),
        ("jpeg-40", 6),
        ("jpeg-10", 6),
    ]
