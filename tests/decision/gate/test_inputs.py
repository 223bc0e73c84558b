"""Which codecs, images and numbers of two outputs can be compared."""

import json

import pytest

from roi_ray.decision.gate.gate import run_gate
from roi_ray.decision.gate.image_pairs import match_images
from roi_ray.decision.gate.inputs import check_same_scoring, pair_codecs
from roi_ray.decision.sweep_scores import read_sweep_scores
from roi_ray.errors import UsageError
from tests.decision.gate.gate_tables import change, fail, make_rows, write_table


@pytest.fixture
def read(tmp_path):
    """A function that writes rows and reads them as scores."""
    count = iter(range(100))
    return lambda rows: read_sweep_scores(write_table(tmp_path / f"{next(count)}.parquet", rows))


def test_codecs_are_paired_by_name(read) -> None:
    old = read(make_rows(codec="a") + make_rows(codec="b"))
    new = read(make_rows(codec="b") + make_rows(codec="a") + make_rows(codec="new"))
    assert pair_codecs(old, new) == [("a", "a"), ("b", "b")]
    assert pair_codecs(old, new, codecs=["b"]) == [("b", "b")]
    assert pair_codecs(old, new, baseline_codec="a", candidate_codec="new") == [("a", "new")]


def test_only_codecs_are_paired_whatever_their_names(read) -> None:
    old, new = read(make_rows(codec="v1")), read(make_rows(codec="v2"))
    assert pair_codecs(old, new) == [("v1", "v2")]
    several = read(make_rows(codec="v2") + make_rows(codec="v3"))
    assert pair_codecs(old, several, candidate_codec="v3") == [("v1", "v3")]
    with pytest.raises(UsageError, match="candidate has 2 codecs, v2, v3: choose one with --cand"):
        pair_codecs(old, several, baseline_codec="v1")


def test_codec_that_failed_on_every_row_is_there(read) -> None:
    old = read(make_rows(codec="a") + make_rows(codec="b"))
    new = read(make_rows(codec="a") + change(make_rows(codec="b"), fail))
    assert pair_codecs(old, new) == [("a", "a"), ("b", "b")]


def test_missing_codecs_are_refused(read) -> None:
    old, new = read(make_rows(codec="a") + make_rows(codec="b")), read(make_rows(codec="a"))
    with pytest.raises(UsageError, match="lacks codecs of the baseline: b.*--codec NAME"):
        pair_codecs(old, new)
    with pytest.raises(UsageError, match="has no codec 'b'; it has a"):
        pair_codecs(old, new, codecs=["b"])
    with pytest.raises(UsageError, match="not both"):
        pair_codecs(old, new, codecs=["a"], baseline_codec="a")


def test_baseline_without_a_scored_row_is_refused(read) -> None:
    old, new = read(change(make_rows(), fail)), read(make_rows())
    with pytest.raises(UsageError, match="it cannot be a baseline"):
        run_gate(old, new, {"ms_ssim": 1})


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("vmaf", "'vmaf' is not a metric; metrics are mse, psnr"),
        ("width", "'width' is not a metric"),
        ("lpips", "has no numbers of the metric 'lpips'; it has psnr, ms_ssim, roi_lpips"),
    ],
)
def test_metric_that_both_lack_is_refused(read, metric, message) -> None:
    with pytest.raises(UsageError, match=message):
        run_gate(read(make_rows()), read(make_rows()), {metric: 1})


def test_images_match_by_file_name_across_folders(read) -> None:
    pairs = match_images(read(make_rows()), read(make_rows(folder="/other")[::-1]))
    assert pairs.matched_by == {"file name": 12}
    assert pairs.baseline == tuple(range(12)) and pairs.candidate == tuple(range(11, -1, -1))
    assert pairs.describe() == "12 images that both have, matched: 12 by file name"


def test_file_names_that_are_not_unique_do_not_match(read) -> None:
    old = make_rows(folder="/a") + change(make_rows(folder="/b"), lambda row: None)
    with pytest.raises(UsageError, match="only 0 images of .*Only in the baseline: /a/00.png, "):
        match_images(read(old), read(make_rows(folder="/c")))


def test_uris_match_before_file_names(read) -> None:
    old = make_rows(folder="/a") + make_rows(folder="/b")
    pairs = match_images(read(old), read(make_rows(folder="/b")))
    assert pairs.matched_by == {"URI": 12}
    assert pairs.baseline == tuple(range(12, 24))
    assert pairs.only_baseline[0] == "/a/00.png" and len(pairs.only_baseline) == 12


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("width", 500, "04.png of the baseline .* are different images: width 512 and 500"),
        ("roi_fraction", 0.5, "different masks: the mean of the mask is 0.14 and 0.5"),
    ],
)
def test_other_images_of_the_same_name_are_refused(read, column, value, message) -> None:
    other = change(make_rows(), lambda row: row.update({column: value}), [4])
    with pytest.raises(UsageError, match=message):
        match_images(read(make_rows()), read(other))


RUN = {
    "roi_ray": "1",
    "scoring_version": 3,
    "config": {
        "manifest": {"rows": 60, "sha256": "a"},
        "precision": "fp32",
        "shard_size": 64,
        "metrics": [],
        "weights": {"lpips": [{"name": "x", "sha256": "1"}]},
    },
}


@pytest.fixture
def read_with_run(read):
    def make(**changes):
        scores = read(make_rows())
        run = json.loads(json.dumps(RUN))
        run["scoring_version"] = changes.pop("scoring_version", 3)
        run["config"] |= changes
        scores.run = run
        return scores

    return make


def test_same_settings_of_different_manifests_can_be_compared(read_with_run) -> None:
    other = read_with_run(
        manifest={"rows": 9, "sha256": "b"}, shard_size=9, metrics=["ssimulacra2"]
    )
    assert check_same_scoring(read_with_run(), other) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "fp16"}, "precision: 'fp32' in the baseline, 'fp16' in the candidate"),
        ({"scoring_version": 2}, "scoring_version: 3 in the baseline, 2 in the candidate"),
        ({"weights": {"lpips": [{"name": "x", "sha256": "2"}]}}, "weights.lpips: "),
    ],
)
def test_different_scoring_is_refused(read_with_run, changes, message) -> None:
    with pytest.raises(UsageError, match=message):
        run_gate(read_with_run(), read_with_run(**changes), {"ms_ssim": 1})


def test_tables_without_a_record_are_noted(read, read_with_run) -> None:
    assert "without a record" in check_same_scoring(read_with_run(), read(make_rows()))
