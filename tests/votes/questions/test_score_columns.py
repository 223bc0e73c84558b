import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError
from tests.votes.questions.score_files import (
    QUALITIES,
    collect,
    score_row,
    sweep_rows,
)


@pytest.mark.parametrize(
    ("values", "methods"),
    [
        ({"target_metric": "quality", "target": 80.0}, {"x q80", "y q80"}),
        ({"target_metric": "bpp", "target": 0.5}, {"x bpp=0.5", "y bpp=0.5"}),
        ({"target_metric": None, "target": None, "quality": 41.5}, {"x q41.5", "y q41.5"}),
        ({"target_metric": None, "target": None}, {"x", "y"}),
    ],
)
def test_methods_are_named_by_what_was_asked_for(tmp_path, values, methods) -> None:
    table = collect(tmp_path, [{**score_row("photo", c, 50), **values} for c in "xy"]).table
    assert {table["method_a"][0].as_py(), table["method_b"][0].as_py()} == methods


def test_column_method_names_methods_without_a_codec(tmp_path) -> None:
    rows = [{**score_row("photo", c, 50), "method": f"{c} fast"} for c in "xy"]
    table = collect(tmp_path, rows, drop=("codec",)).table
    assert {table["method_a"][0].as_py(), table["method_b"][0].as_py()} == {"x fast", "y fast"}
    assert "codec_a" not in table.column_names


def test_quality_column_and_target_give_one_method(tmp_path) -> None:
    rows = [
        {**score_row(name, codec, 50), "quality": 50.0} for name in ("p", "q") for codec in "xy"
    ]
    rows[0]["target"] = rows[0]["target_metric"] = None
    table = collect(tmp_path, rows).table
    assert set(table["method_a"].to_pylist() + table["method_b"].to_pylist()) == {"x q50", "y q50"}


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        (("codec",), "column 'codec' is missing, which says what made each image"),
        (("distorted",), "column 'distorted' is missing"),
        (schema.QUALITY_COLUMNS, "no column measures quality; give an output of `roi-ray score`"),
        (("target_metric", "target"), "rows are the image of .*photo0.png by 'x': say at which"),
    ],
)
def test_scores_without_a_needed_column_are_refused(tmp_path, drop, message) -> None:
    with pytest.raises(ManifestError, match=message):
        collect(tmp_path, sweep_rows(), drop)


def test_text_where_numbers_are_needed_is_refused(tmp_path) -> None:
    rows = [score_row("p", "x", q, lpips="good") for q in QUALITIES]
    with pytest.raises(ManifestError, match="column 'lpips' is of type string, not double"):
        collect(tmp_path, rows)
