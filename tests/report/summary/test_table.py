"""The decision on a terminal and as JSON."""

import io
import json

import pytest
from rich.console import Console

from roi_ray.decision.decide import decide
from roi_ray.decision.flags import Flag
from roi_ray.decision.resampling import Estimate
from roi_ray.report.summary.reasons import WORDS
from roi_ray.report.summary.table import Column, format_interval, print_decision, split_by_width
from roi_ray.report.summary.values import decision_to_dict
from tests.decision.model_sweeps import feature_row, sweep_rows, to_scores

TIMES = {
    "width": 1000,
    "height": 1000,
    "encode_seconds": 0.25,
    "decode_seconds": 0.0125,
    "processor": "P",
}


def make_rows():
    """Codecs that need 1/1.1 and 1.1 times the bits of jpeg, one of two points, and a failure."""
    rows = sweep_rows({"jpeg": 1, "good": 1.1, "bad": 1 / 1.1})
    rows += sweep_rows({"few": 1}, bpp=(0.25, 0.5))
    rows = [row | TIMES | {"error_kind": None, "content": "text"} for row in rows]
    for row in rows[: len(rows) // 2]:
        row["content"] = "photo"
    broken = feature_row("0.png", "good", 4.0, quality=90.0) | TIMES | {"content": "photo"}
    numbers = {key: None for key, value in broken.items() if isinstance(value, float)}
    rows.append(broken | numbers | {"quality": 90, "error": "crash", "error_kind": "CodecError"})
    return rows


@pytest.fixture(scope="module")
def decision(tmp_path_factory):
    return decide(to_scores(make_rows(), tmp_path_factory.mktemp("scores")))


def render(decision, width, **options):
    console = Console(width=width, file=io.StringIO(), **options)
    print_decision(decision, console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120, 160])
def test_summary_fits_the_terminal_and_begins_with_the_verdict(decision, width) -> None:
    text = render(decision, width)
    assert max(map(len, text.splitlines())) <= width
    lines = text.splitlines()
    assert "against jpeg" in " ".join(lines[:2])
    verdict = next(line for line in lines[1:] if line.startswith("good needs 9."))
    assert lines.index(verdict) <= 4
    assert "\x1b" not in text
    assert text.isascii()


def test_summary_has_mean_interval_and_mean_curves(tmp_path) -> None:
    scores = to_scores(make_rows(), tmp_path)
    result = decide(scores, metrics=["psnr", "roi_psnr"], model=None)
    lines = [line.split() for line in render(result, 80).splitlines()]
    assert ["codec", "full", "frame", "ROI"] in lines
    assert ["good", "mean", "*-9.1", "*-9.1"] in lines
    assert ["95", "%", "-9.1..-9.1", "-9.1..-9.1"] in lines
    assert ["curves", "-9.1", "-9.1"] in lines
    assert ["bad", "mean", "+10.0", "+10.0"] in lines


def test_number_that_is_not_valid_is_a_word_with_its_reason(decision) -> None:
    text = render(decision, 120)
    lines = [line.split() for line in text.splitlines()]
    few = next(words for words in lines if words[:2] == ["few", "mean"])
    assert set(few[2:]) == {"points"}
    assert "  points: fewer than 4 points; sweep at more qualities" in text.splitlines()


def test_summary_has_preferences_times_and_failures(decision) -> None:
    text = render(decision, 120)
    lines = [line.split() for line in text.splitlines()]
    header = lines.index(["codec", "jpeg", "to", "all", "logit"])
    rows = {words[0]: words for words in lines[header + 1 : header + 5]}
    assert 50 < int(rows["good"][1]) <= 100
    assert rows["jpeg"][1] == "-" and rows["few"][1:] == ["-", "-", "-"]
    assert ["good", "250", "12.5"] in lines
    assert "These are predictions of a preference model" in text
    assert "good: no scores of 1 cell (1 x CodecError). Such as: crash" in text


def test_what_is_missing_is_said(tmp_path) -> None:
    text = render(decide(to_scores(sweep_rows({"jpeg": 1, "good": 1.1}), tmp_path), model=None), 80)
    assert "No predicted preferences: " in text and "No times: " in text
    assert "Bradley-Terry" not in text and "ms/megapixel" not in text


def test_hostile_names_do_not_reach_the_terminal(tmp_path) -> None:
    name = "evil\x1b[31m[bold]\u202e" + "x" * 80
    rows = sweep_rows({"jpeg": 1, name: 1.1})
    text = render(decide(to_scores(rows, tmp_path), model=None), 80)
    assert "\x1b" not in text and "[bold]" in text
    assert max(map(len, text.splitlines())) <= 80


def test_json_has_everything_and_null_for_what_is_not_valid(decision) -> None:
    document = json.loads(json.dumps(decision_to_dict(decision), allow_nan=False))
    rates = {(rate["codec"], rate["metric"]): rate for rate in document["bd_rates"]}
    good = rates["good", "psnr"]
    assert good["mean"]["value"] == pytest.approx(100 / 1.1 - 100)
    assert good["mean_curves"]["value"] == pytest.approx(100 / 1.1 - 100)
    assert len(good["per_image"]) == good["valid_images"] == 8
    few = rates["few", "psnr"]
    assert few["mean"] is few["mean_curves"] is few["per_image"]["0.png"] is None
    assert "fewer than 4 points" in few["not_valid_because"]
    assert few["not_valid_images"] == {"fewer than 4 points": 8}
    assert document["quality_control"]["failures"] == [
        {"codec": "good", "error_kind": "CodecError", "rows": 1}
    ]
    assert document["times"]["encode"]["good"]["seconds_per_megapixel"]["value"] == 0.25
    assert {"good", "bad", "jpeg"} <= {rank["name"] for rank in document["preference"]["ranks"]}
    assert document["winners"][0]["ranking"][0] == "good"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-37.06, -33.0, "-37..-33"),
        (-3.44, 1.2, "-3.4..+1.2"),
        (9.0, 110.4, "+9..+110"),
        (None, None, ""),
    ],
)
def test_interval_is_short(low, high, text) -> None:
    assert format_interval(Estimate(0.0, low, high)) == text


def test_columns_of_a_group_stay_together() -> None:
    groups = [[Column(f"{name}\n{part}", {}) for part in ("full", "ROI")] for name in "abc"]
    assert [len(table) for table in split_by_width(groups, 48)] == [4, 2]
    assert [len(table) for table in split_by_width(groups, 10)] == [2, 2, 2]
    assert [len(table) for table in split_by_width(groups, 1000)] == [6]


def test_every_flag_has_a_short_word_of_its_own() -> None:
    assert WORDS.keys() == set(Flag)
    assert len(set(WORDS.values())) == len(WORDS)
    assert max(map(len, WORDS.values())) <= 10
