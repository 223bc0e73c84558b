"""Decisions between codecs: anchors, metrics, bands, groups, winners and what is missing."""

import json

import numpy as np
import pytest

from roi_ray.decision.decide import decide
from roi_ray.errors import ManifestError, UsageError
from tests.decision.sweep_tables import make_rows, to_scores, write_scores

CODECS = {"jpeg": 1.0, "webp": 0.8, "avif": 0.5}


def decide_rows(rows, tmp_path, **options):
    return decide(to_scores(rows, tmp_path), model=None, resamples=200, **options)


def test_codec_with_the_fewest_bits_wins_with_proof(tmp_path) -> None:
    decision = decide_rows(make_rows(CODECS), tmp_path)
    assert decision.anchor == "jpeg"
    assert decision.metrics == ("ms_ssim", "psnr", "lpips", "roi_psnr")
    assert decision.savings["avif", "psnr"].mean.value == pytest.approx(-50)
    winner = decision.winners["ms_ssim"]
    assert winner.ranking == ("avif", "webp", "jpeg") and winner.proven
    assert winner.lead.value == pytest.approx(-30) and winner.images == 8
    # The codecs' factors go up and down together from image to image: their difference does not.
    assert winner.lead.high - winner.lead.low < 0.01
    assert decision.verdict[0].startswith(
        "avif needs 50.0 % fewer bits than jpeg for the same ms_ssim (95 % interval 4"
    )
    assert "proven to be better than the next, webp: by 30.0 percentage" in decision.verdict[1]
    assert decision.notes == ()


def test_anchor_without_jpeg_is_the_codec_with_the_most_points(tmp_path) -> None:
    rows = make_rows({"a": 1.0}) + make_rows({"b": 0.9}, qualities=(10, 20, 30, 50, 70, 90))
    assert decide_rows(rows, tmp_path).anchor == "b"
    assert decide_rows(rows, tmp_path, anchor="a").anchor == "a"


def test_anchor_that_nothing_beats_wins(tmp_path) -> None:
    decision = decide_rows(make_rows({"jpeg": 1.0, "old": 1.5}), tmp_path)
    winner = decision.winners["ms_ssim"]
    assert winner.best == "jpeg" and winner.proven
    assert decision.verdict[0].startswith(
        "No codec needs fewer bits than jpeg for the same ms_ssim: the next, old, needs 50.0 % more"
    )


def test_equal_codecs_prove_nothing(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0})
    rows += [{**row, "codec": "copy"} for row in rows]
    decision = decide_rows(rows, tmp_path)
    winner = decision.winners["ms_ssim"]
    assert winner.ranking == ("jpeg", "copy") and not winner.proven
    assert (winner.lead.value, winner.lead.low, winner.lead.high) == (0, 0, 0)
    assert "needs as many bits as jpeg" in decision.verdict[0]
    assert "not proven" in decision.verdict[1]


def test_few_images_are_named_as_a_doubt(tmp_path) -> None:
    decision = decide_rows(make_rows(CODECS, images=3), tmp_path)
    assert not decision.winners["ms_ssim"].proven
    assert "3 images are too few to generalize from" in decision.verdict[0]
    assert not any("proven" in sentence for sentence in decision.verdict)


def test_one_image_is_named_in_the_singular(tmp_path) -> None:
    decision = decide_rows(make_rows(CODECS, images=1), tmp_path)
    assert "(1 image); 1 image is too few to generalize from" in decision.verdict[0]


def test_crossing_curves_are_told_by_bit_rate(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0, "avif": 1.0})
    factors = {10: 0.5, 30: 0.5, 50: 1.0, 70: 1.5, 90: 1.5}
    for row in rows:
        row["bpp"] *= factors[row["quality"]] if row["codec"] == "avif" else 1
    decision = decide_rows(rows, tmp_path, metrics=["psnr"])
    high = decision.bands[1, 2]["avif", "psnr"].mean
    assert decision.winners["psnr"].best == "avif" and high.low > 0
    told = next(sentence for sentence in decision.verdict if "depends on the bit rate" in sentence)
    assert "avif needs more bits than jpeg in some bands" in told
    assert f"{high.value:.1f} % at 1 to 2 bpp" in told and "0.25 to 0.5" not in told


def test_crossing_curves_of_an_anchor_that_wins_are_told_too(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0, "avif": 1.0})
    factors = {10: 0.7, 30: 0.7, 50: 1.0, 70: 2, 90: 2}
    for row in rows:
        row["bpp"] *= factors[row["quality"]] if row["codec"] == "avif" else 1
    decision = decide_rows(rows, tmp_path, metrics=["psnr"])
    assert decision.winners["psnr"].best == "jpeg"
    assert "avif needs fewer bits than jpeg in some bands" in " ".join(decision.verdict)


def test_differences_of_rounding_are_no_contradiction(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0, "avif": 1.0}, images=8)
    for row in rows:
        row["bpp"] = 2 ** (row["quality"] / 20) * (1 + 1e-9 * (row["codec"] == "avif"))
        if row["reference"] == "7.png" and row["codec"] == "avif":
            row["bpp"] *= 1 - 1e-7
    text = " ".join(decide_rows(rows, tmp_path, metrics=["psnr"]).verdict)
    assert "needs as many bits as jpeg" in text
    assert "opposite" not in text and "mixed" not in text


def test_disagreement_of_metrics_and_mixed_images_are_told(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0, "webp": 0.6, "avif": 0.5})
    for row in rows:
        if row["codec"] == "avif":
            row["psnr"] -= 1  # as if 41 % more bits were needed
            row["bpp"] *= 2.2 if row["reference"] == "1.png" else 1
    text = " ".join(decide_rows(rows, tmp_path).verdict)
    assert "Results are mixed: on 1 of 8 images, avif needs more bits than jpeg." in text
    assert "Metrics disagree: webp is first by psnr" in text


def test_codecs_without_valid_numbers_are_told_with_the_remedy(tmp_path) -> None:
    rows = make_rows(CODECS)
    rows += make_rows({"fine": 0.5}, qualities=(70, 80, 90, 100))
    rows += make_rows({"short": 0.5}, qualities=(10, 90))
    decision = decide_rows(rows, tmp_path, metrics=["psnr"])
    assert set(decision.winners["psnr"].unranked) == {"fine", "short"}
    text = " ".join(decision.verdict)
    assert "fine (reaches less than 75 % of the anchor's quality range)" in text
    assert "short (fewer than 4 points)" in text
    assert "add points to the sweep: fine at lower quality" in text


def test_a_mean_that_leaves_out_the_best_images_says_so(tmp_path) -> None:
    rows = make_rows(CODECS, images=40)
    for row in rows:  # a fifth of the images, of which avif reaches the upper half of jpeg's range
        if row["codec"] == "avif" and int(row["reference"].removesuffix(".png")) % 5 == 0:
            row["psnr"] += 4
    decision = decide_rows(rows, tmp_path, metrics=["psnr"])
    saving = decision.savings["avif", "psnr"]
    assert saving.valid == 32 and saving.curve.value < saving.mean.low
    text = " ".join(decision.verdict)
    assert "leaves out 8 images of which avif reaches too little of jpeg's range" in text
    assert f"by the mean curves, avif needs {-saving.curve.value:.1f} % fewer bits" in text


def test_nothing_valid_names_no_winner(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0, "short": 0.5}, qualities=(10, 50, 90))
    decision = decide_rows(rows, tmp_path)
    winner = decision.winners["ms_ssim"]
    assert winner.best is None and not winner.proven
    assert decision.verdict[0] == "No codec can be compared with jpeg by ms_ssim."


def test_bands_compare_at_the_quality_that_the_anchor_has_there(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0, "mixed": 1.0}, images=8, qualities=range(0, 121, 10))
    for row in rows:
        row["bpp"] /= 1 + 0.2 * int(row["reference"][0])  # the same rates for all images
        if row["codec"] == "mixed":
            row["bpp"] *= 0.7 if row["bpp"] < 0.9 else 1.2
    decision = decide_rows(rows, tmp_path, metrics=["psnr"])
    means = {band: found["mixed", "psnr"].mean for band, found in decision.bands.items()}
    assert list(means) == [(0, 0.25), (0.25, 0.5), (0.5, 1), (1, 2), (2, np.inf)]
    assert means[0.25, 0.5].value == pytest.approx(-30, abs=0.5)
    assert -30 < means[0.5, 1].value < means[1, 2].value < 20
    assert means[2, np.inf].value == pytest.approx(20, abs=0.5)
    curve = decision.bands[2, np.inf]["mixed", "psnr"].curve
    assert curve.value == pytest.approx(20, abs=0.5)


def test_bands_that_the_anchor_lacks_are_left_out(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0, "webp": 0.8}, images=6)
    for row in rows:
        row["bpp"] = row["bpp"] / (1 + 0.2 * int(row["reference"][0])) / 4
    decision = decide_rows(rows, tmp_path)
    assert list(decision.bands) == [(0, 0.25), (0.25, 0.5)]
    saving = decision.bands[0.25, 0.5]["webp", "psnr"]
    assert saving.mean.value == pytest.approx(-20, abs=0.1) and saving.valid == 6


def test_groups_have_numbers_of_their_own(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0, "webp": 0.8}, images=12)
    for row in rows:
        if row["content"] == "art" and row["codec"] == "webp":
            row["bpp"] *= 1.5
        row["text"] = None if row["reference"] == "3.png" else 7
    decision = decide_rows(rows, tmp_path, group_by=["content", "text"])
    values = {group: found["webp", "psnr"].mean.value for group, found in decision.groups.items()}
    assert list(values) == [
        ("content", "art"), ("content", "photo"), ("text", "7"), ("text", "unknown")
    ]  # fmt: skip
    assert values["content", "photo"] == pytest.approx(-20, abs=0.5)
    assert values["content", "art"] == pytest.approx(20, abs=0.5)
    assert decision.groups["content", "art"]["webp", "psnr"].mean.low is not None
    unknown = decision.groups["text", "unknown"]["webp", "psnr"]
    assert unknown.valid == 1 and unknown.mean.low is None


def test_group_with_several_values_of_an_image_is_refused(tmp_path) -> None:
    rows = make_rows(CODECS)
    rows[-1]["content"] = "screen"
    with pytest.raises(ManifestError, match=r"different values for the image 7\.png: .*screen"):
        decide_rows(rows, tmp_path, group_by=["content"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anchor": "vvc"}, "no codec 'vvc'; there are avif, jpeg, webp"),
        ({"codecs": ["vvc"]}, "no codec 'vvc'"),
        ({"metrics": ["vmaf"]}, "no metric 'vmaf'; there are psnr, ms_ssim, lpips"),
        ({"group_by": ["kind"]}, "no column 'kind' to group by; it has reference,"),
    ],
)
def test_unknown_names_are_usage_errors(tmp_path, options, message) -> None:
    with pytest.raises(UsageError, match=message):
        decide_rows(make_rows(CODECS), tmp_path, **options)


def test_groups_of_single_images_are_refused(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0}, images=51)
    with pytest.raises(UsageError, match="'reference' has 51 different values"):
        decide_rows(rows, tmp_path, group_by=["reference"])


def test_first_named_metric_decides_and_named_codecs_are_compared(tmp_path) -> None:
    rows = make_rows(CODECS)
    decision = decide_rows(rows, tmp_path, metrics=["lpips", "psnr", "lpips"], codecs=["webp"])
    assert decision.metrics == ("lpips", "psnr")
    assert list(decision.savings) == [("webp", "lpips"), ("webp", "psnr")]


def test_single_codec_is_nothing_to_compare(tmp_path) -> None:
    decision = decide_rows(make_rows({"jpeg": 1.0}), tmp_path)
    assert decision.savings == {} and decision.winners["ms_ssim"].best is None
    assert decision.verdict == ("There is nothing to compare: jpeg is the only codec.",)


def test_missing_and_failed_rows_are_noted(tmp_path) -> None:
    rows = make_rows(CODECS)
    for row in rows[:3]:
        row.update(error="broken", psnr=None)
    rows[-1]["codec"] = None
    rows = [row for row in rows if (row["reference"], row["codec"]) != ("4.png", "avif")]
    notes = " ".join(decide_rows(rows, tmp_path).notes)
    assert "3 of 115 rows failed" in notes
    assert "1 rows have no 'reference' or no 'codec'" in notes
    assert "Not every codec has all 8 images: avif (7)" in notes


def test_scores_that_all_failed_are_refused(tmp_path) -> None:
    rows = [{**row, "error": "broken"} for row in make_rows(CODECS)]
    with pytest.raises(ManifestError, match="no scored row: 120 rows failed"):
        decide_rows(rows, tmp_path)
    rows = [{**row, "codec": None} for row in make_rows(CODECS)]
    with pytest.raises(ManifestError, match="no scored row: 120 rows have no 'reference' or no"):
        decide_rows(rows, tmp_path)


def test_scores_without_metrics_are_refused(tmp_path) -> None:
    names = ("psnr", "ms_ssim", "lpips", "roi_psnr")
    rows = [{k: v for k, v in row.items() if k not in names} for row in make_rows(CODECS)]
    with pytest.raises(ManifestError, match="no column with numbers of a quality metric"):
        decide(write_scores(rows, tmp_path), model=None)


def test_points_without_names_have_no_mean_curves(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0, "webp": 0.8})
    for row in rows:
        del row["quality"]
    decision = decide_rows(rows, tmp_path)
    saving = decision.savings["webp", "psnr"]
    assert saving.mean.value == pytest.approx(-20, abs=0.1) and saving.curve is None
    assert "so there are no mean curves" in " ".join(decision.notes)


def test_a_sweep_is_told_from_its_scores(tmp_path) -> None:
    cells = tmp_path / "cells"
    write_record(cells, "sweep", rows=120)
    with pytest.raises(ManifestError, match=r"has not been scored: run `roi-ray score .*manifest"):
        decide(str(tmp_path), model=None)
    write_record(tmp_path / "scores", "score", rows=120)
    for folder in (tmp_path, cells):
        with pytest.raises(
            ManifestError, match="is a sweep, not scores: name its scores, .*/scores"
        ):
            decide(str(folder), model=None)


def test_unfinished_scores_are_noted(tmp_path) -> None:
    write_record(tmp_path / "scores", "score", rows=400)
    write_scores(make_rows(CODECS), tmp_path / "scores", "shard-000000.parquet")
    decision = decide(str(tmp_path / "scores"), model=None, resamples=0)
    assert decision.notes[0].startswith("The scores are not complete: 120 of 400 rows are there.")
    assert decision.scores.base == "/photos"


def write_record(folder, command, rows) -> None:
    (folder / "_run").mkdir(parents=True)
    record = {
        "command": command,
        "roi_ray": "0",
        "scoring_version": 1,
        "manifest": {"base": "/photos"},
        "config": {"manifest": {"rows": rows}, "shard_size": 1000},
        "columns": {},
    }
    (folder / "_run" / "run.json").write_text(json.dumps(record))
