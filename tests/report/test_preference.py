"""What a report of an evaluation says, and how it fits a terminal of 100 columns."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from roi_ray.imaging.decode import decode_image
from roi_ray.io.json_values import replace_non_finite
from roi_ray.preference.evaluation.encoder_bias import EncoderBias, FamilyBias
from roi_ray.preference.evaluation.evaluate import Evaluation, ModelResult, RepeatedQuestions
from roi_ray.preference.evaluation.paired import PairedResult
from roi_ray.preference.evaluation.rank_agreement import RankAgreement
from roi_ray.preference.evaluation.repeated import HumanCeiling
from roi_ray.preference.statistics.measures import Interval, PairedDifference, ReliabilityBin
from roi_ray.report import preference as report
from roi_ray.report.preference_picture import draw

NONE = (np.nan, np.nan)
SIGNIFICANT = PairedDifference(Interval(-0.0121, -0.0201, -0.0041), 0.004)
UNCLEAR = PairedDifference(Interval(0.0027, -0.0003, 0.0057), 0.076)


def make_result(name, kind="recipe", loss=0.535):
    return ModelResult(
        name,
        kind,
        Interval(loss, loss - 0.03, loss + 0.03),
        Interval(0.736, 0.711, 0.761),
        0.0148,
        RankAgreement(0.9958, 0.9699, {"jpegli-q80": 0.4, "mozjpeg-q80": -0.4}),
        EncoderBias(
            {
                "jpegli": FamilyBias(-0.21, -0.30, -0.12, 16, True),
                "mozjpeg": FamilyBias(0.05, -0.04, 0.14, 6, False),
            }
        ),
        Interval(0.8144, 0.781, 0.844),
        {"0.5..1 bpp": 0.7, "jpegli / mozjpeg": 0.72},
    )


@pytest.fixture
def evaluation() -> Evaluation:
    results = [
        make_result("BASIC roi-ray"),
        make_result("ROI roi-ray"),
        make_result("BASIC paper, 50 epochs", loss=0.6),
        make_result("ROI paper, 50 epochs", loss=0.6),
        make_result("model /a/long/path/" + 12 * "folder/" + "[bold]model.safetensors", "model"),
        make_result("method's name alone", "method name", 0.552),
        make_result("ssimulacra2", "metric", 0.54),
        make_result("roi_mse_cb", "metric", 0.64),
    ]
    bins = [ReliabilityBin(p, p, 10.0) for p in (0.25, 0.75)]
    return Evaluation(
        comparisons=300,
        references=36,
        without_region=0,
        results=results,
        differences=[
            PairedResult("ROI roi-ray", "BASIC roi-ray", SIGNIFICANT, UNCLEAR),
            PairedResult("ROI roi-ray", "ssimulacra2", UNCLEAR, SIGNIFICANT),
        ],
        ceiling=HumanCeiling(2335, 0.634, 0.759),
        repeated=RepeatedQuestions(1717, 618),
        people={"jpegli-q80": 0.5, "mozjpeg-q80": -0.5},
        reliability={each.name: bins for each in results},
        part_sizes={"0.5..1 bpp": 200, "jpegli / mozjpeg": 100},
    )


def render(table) -> list[str]:
    console = Console(width=report.WIDTH, file=io.StringIO(), markup=False)
    console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_headline_has_log_loss_first_and_names_significant_biases(evaluation) -> None:
    text = report.write_headline(evaluation.results[1])
    assert text.startswith("ROI roi-ray: log-loss 0.5350 (0.505..0.565; guessing has 0.693), ")
    assert "73.6 % of the answers" in text and "r = 0.996" in text
    assert text.endswith("biased by jpegli -0.21 logit; bias not significant: mozjpeg +0.05.")


def test_headline_without_an_interval_has_none(evaluation) -> None:
    few = replace(evaluation.results[1], log_loss=Interval(0.5, *NONE))
    assert report.write_headline(few).startswith(
        "ROI roi-ray: log-loss 0.5000 (guessing has 0.693)"
    )


def test_headlines_are_about_models_with_all_features(evaluation) -> None:
    names = [each.name for each in report.select_main(evaluation)]
    assert names[:2] == ["ROI roi-ray", "ROI paper, 50 epochs"]
    assert len(names) == 3 and names[2].startswith("model ")


def test_table_fits_and_no_number_is_cut(evaluation) -> None:
    lines = render(report.to_table(evaluation))
    assert max(map(len, lines)) <= 100
    row = next(line for line in lines if line.startswith("ROI roi-ray"))
    numbers = ["0.5350", "0.505..0.565", "73.6", "71.1..76.1", "0.015", "0.996", "0.970", "81.4"]
    assert row.split()[2:] == numbers
    assert lines[0].split()[0] == "log-loss↓"
    assert "one metric alone:" in lines
    assert any("[bold]" in line for line in lines)  # a path is no markup


def test_biases_say_in_words_what_is_not_significant(evaluation) -> None:
    (table,) = report.to_bias_tables(evaluation)
    row = next(line for line in render(table) if line.startswith("ROI roi-ray"))
    assert row.split("ray")[1].split() == ["-0.21", "±", "0.09", "*", "+0.05", "±", "0.09"]
    assert not any("ssimulacra2" in line for line in render(table))
    words = " ".join(report.explain_bias(evaluation))
    assert "ROI roi-ray: biased by jpegli -0.21 logit; bias not significant: mozjpeg" in words


def test_many_families_get_several_tables(evaluation) -> None:
    bias = FamilyBias(0.123, *NONE, 1, None)
    families = {f"an-encoder-with-a-long-name-{n}": bias for n in range(9)}
    results = [replace(each, bias=EncoderBias(families)) for each in evaluation.results]
    tables = report.to_bias_tables(replace(evaluation, results=results))
    lines = [line for table in tables for line in render(table)]
    assert len(tables) == 3 and max(map(len, lines)) <= 100
    assert sum(line.count("+0.12") for line in lines) == 6 * 9
    few = "bias without an interval, with fewer than 6 references: an-encoder-with"
    assert few in report.write_headline(results[1])


def test_missing_rankings_and_biases_say_why(evaluation) -> None:
    results = [
        replace(
            each,
            ranking=RankAgreement(None, None, {}, "2 methods, fewer than 3"),
            bias=EncoderBias({}, "no columns codec_a and codec_b"),
            majority_accuracy=None,
        )
        for each in evaluation.results
    ]
    without = replace(evaluation, results=results, people={}, ceiling=None, repeated=None)
    assert report.to_bias_tables(without) == []
    text = " ".join([*report.explain_table(without), *report.explain_bias(without)])
    assert "No correlation of rankings: 2 methods, fewer than 3." in text
    assert "No bias by encoder family: no columns codec_a and codec_b." in text
    assert "No question was asked twice" in report.write_ceilings(without)[0]
    assert report.write_headline(results[0]).endswith("its bias by encoder family is not known.")
    row = next(line for line in render(report.to_table(without)) if "ROI roi-ray" in line)
    assert row.split()[-3:] == ["-", "-", "-"]
    assert np.std(decode_image(draw(without))) > 10


def test_ceilings_are_people_and_names(evaluation) -> None:
    text = " ".join(report.write_ceilings(evaluation))
    assert "agree 63.4 % of the time (2335 questions)" in text
    assert "of 1717 repeated questions that have one (618 ties are left out)" in text
    assert "ROI roi-ray 81.4 % (78.1..84.4)" in text
    assert "log-loss of 0.5520 and an accuracy of 73.6 %" in text
    assert "BASIC 76.72 %, ROI 78.40 %" in text


def test_differences_say_better_worse_or_not_significant(evaluation) -> None:
    assert list(report.write_differences(evaluation)) == [
        "ROI roi-ray against BASIC roi-ray:",
        "  log-loss -0.0121 (-0.0201 .. -0.0041), p = 0.004: better",
        "  accuracy +0.27 points (-0.03 .. +0.57), p = 0.076: not significant",
        "ROI roi-ray against ssimulacra2, the best metric alone:",
        "  log-loss +0.0027 (-0.0003 .. +0.0057), p = 0.076: not significant",
        "  accuracy -1.21 points (-2.01 .. -0.41), p = 0.004: worse",
    ]


def test_difference_without_an_interval_says_why() -> None:
    certain = PairedDifference(Interval(1.0, 0.64, 1.0), 1e-4)
    text = report.format_difference(certain, better="higher", percent=True)
    assert text == "+100.00 points (+64.00 .. +100.00), p < 0.001: better"
    few = report.format_difference(PairedDifference(Interval(0.5, *NONE), np.nan), better="lower")
    assert few == "+0.5000, no interval and no p with fewer than 6 references"
    equal = report.format_difference(PairedDifference(Interval(0.0, *NONE), 1.0), better="lower")
    assert equal == "+0.0000, the same for every answer"


def test_missing_interval_is_a_dash() -> None:
    assert report.format_interval(Interval(0.7283, 0.706, 0.7504)) == "70.6..75.0"
    assert report.format_interval(Interval(1.0, *NONE)) == "-"


def test_lines_are_broken_at_100_columns_and_not_between_number_and_unit() -> None:
    for filling in range(70, 98):
        line = "  " + "x" * filling + " 81.4 % of r = 0.99 and -0.21 logit"
        lines = report.wrap(line)
        assert max(map(len, lines)) <= 100
        assert " ".join(each.strip() for each in lines) == line.strip()
        whole = ("81.4 %", "r = 0.99", "-0.21 logit")
        assert all(any(part in each for each in lines) for part in whole)
        assert all(each.startswith("  ") for each in lines)


def test_picture_shows_something_and_survives_missing_intervals(evaluation) -> None:
    assert np.std(decode_image(draw(evaluation))) > 10
    results = [replace(each, log_loss=Interval(0.5, *NONE)) for each in evaluation.results]
    assert np.std(decode_image(draw(replace(evaluation, results=results)))) > 10


def test_parts_table_has_answers_and_accuracies(evaluation) -> None:
    lines = render(report.to_parts_table(evaluation, ["ROI roi-ray", "ssimulacra2"]))
    assert lines[1].split() == ["0.5..1", "bpp", "200", "70.0", "70.0"]


def test_json_has_null_for_what_it_cannot_hold() -> None:
    values = {"a": (np.nan, 1.0), "b": [{"c": np.inf}], "d": "nan"}
    text = json.dumps(replace_non_finite(values), allow_nan=False)
    assert json.loads(text) == {"a": [None, 1.0], "b": [{"c": None}], "d": "nan"}
