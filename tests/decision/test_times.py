"""Times per megapixel, their intervals, and Pareto fronts."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.decision.decide import decide
from roi_ray.decision.resampling import Estimate
from roi_ray.decision.savings import Saving
from roi_ray.decision.score_table import SweepScores
from roi_ray.decision.sweep_scores import read_sweep_scores
from roi_ray.decision.times import CodecTimes, find_front, measure_times, median_over_images


def cell(image: int, codec: str, quality: int, encode: float | None, **others: object) -> dict:
    return {
        "reference": f"{image}.png",
        "distorted": f"{image}.{codec}{quality}",
        "codec": codec,
        "quality": quality,
        "bpp": quality / 100,
        "psnr": 30.0 + quality / 10,
        "width": 1000,
        "height": 500,
        "encode_seconds": encode,
        "decode_seconds": None,
        "encode_memory_bytes": None,
        "processor": "A",
        "other_load": 0.0,
        **others,
    }


def read(tmp_path, rows: list[dict]) -> SweepScores:
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores.parquet")
    return read_sweep_scores(str(tmp_path / "scores.parquet"))


def saving(codec: str, mean: float | None, reason: str | None = None) -> Saving:
    estimate = None if mean is None else Estimate(mean, None, None)
    return Saving(codec, "psnr", np.array([]), {}, estimate, estimate, None, None, reason)


def test_seconds_are_per_megapixel_and_null_times_are_left_out(tmp_path) -> None:
    rows = [cell(0, "jpeg", quality, quality / 100) for quality in (10, 20, 90)]
    rows += [cell(0, "webp", 10, None), cell(0, "webp", 20, 0.25, encode_memory_bytes=7)]
    times = measure_times(read(tmp_path, rows), "jpeg", ["psnr"], {})
    assert times.encode["jpeg"].seconds == Estimate(pytest.approx(0.4), None, None)
    assert times.encode["webp"] == CodecTimes(Estimate(0.5, None, None), 1, 7)
    assert (times.encode["jpeg"].cells, times.encode["jpeg"].memory) == (3, None)
    assert times.decode == {} and ("decode", "psnr") not in times.fronts
    assert times.notes == () and times.reason is None


def test_scores_without_times_say_why(tmp_path) -> None:
    rows = [cell(0, "jpeg", quality, None) for quality in (10, 20)]
    times = measure_times(read(tmp_path, rows), "jpeg", ["psnr"], {})
    assert times.reason == "no cell has a time: the sweep could not measure any"
    for row in rows:
        del row["encode_seconds"], row["decode_seconds"]
    times = measure_times(read(tmp_path, rows), "jpeg", ["psnr"], {})
    assert "not of `roi-ray sweep`" in times.reason
    assert not times.encode and not times.fronts


def test_other_work_and_several_processors_are_noted(tmp_path) -> None:
    rows = [cell(0, "jpeg", 10, 1.0, other_load=0.1), cell(0, "jpeg", 20, 1.0, other_load=1.5)]
    rows += [cell(0, "jpeg", 30, 1.0, processor="B", other_load=None)]
    busy, processors = sorted(measure_times(read(tmp_path, rows), "jpeg", [], {}).notes)
    assert busy.startswith("In 1 of 2 cells more than 0.1 cores were busy with other work")
    assert processors.startswith("The times are of 2 processors (A, B)")


def test_front_has_the_codecs_that_no_other_beats() -> None:
    seconds = {"jpeg": 1.0, "webp": 2.0, "avif": 9.0, "slow": 10.0, "twin": 9.0, "odd": 3.0}
    times = {
        codec: CodecTimes(Estimate(value, None, None), 1, None) for codec, value in seconds.items()
    }
    savings = {
        (each.codec, "psnr"): each
        for each in (
            saving("webp", -20.0),
            saving("avif", -50.0),
            saving("slow", -50.0),  # as good as avif, and slower
            saving("twin", -50.0),  # equal to avif: neither beats the other
            saving("odd", None, "fewer than 4 points in all images"),
            saving("untimed", -90.0),
        )
    }
    codecs = [*seconds, "untimed"]
    front = find_front("encode", "psnr", times, "jpeg", savings, codecs)
    assert front.best == ("jpeg", "webp", "avif", "twin")
    assert front.points["jpeg"] == (1.0, 0.0) and front.points["slow"] == (10.0, -50.0)
    assert front.excluded == {
        "odd": "no valid BD-rate of psnr: fewer than 4 points in all images",
        "untimed": "no time to encode was measured",
    }


def test_few_images_get_no_interval() -> None:
    assert median_over_images(np.array([[1.0, 2.0], [np.nan, 9.0]])) == Estimate(2.0, None, None)


def test_interval_covers_the_median_of_all_images() -> None:
    """Cells of one image are alike: images take 0.5 to 2 times as long as others."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(1000):
        image = rng.normal(0, 0.5, (24, 1))
        times = np.exp(image + rng.normal(0, 0.2, (24, 6)))
        estimate = median_over_images(times)
        assert estimate.low <= estimate.value <= estimate.high
        covered += estimate.low <= 1.0 <= estimate.high
    assert 930 <= covered <= 985


def test_decision_carries_times_and_quality_control(tmp_path) -> None:
    rows = [
        cell(image, codec, quality, seconds, bpp=rate * quality / 100)
        for image in range(6)
        for codec, seconds, rate in (("jpeg", 0.5, 1.0), ("webp", 1.0, 0.8), ("slow", 2.0, 0.9))
        for quality in (10, 30, 50, 70, 90)
    ]
    decision = decide(read(tmp_path, rows), codecs=["webp", "slow"], resamples=20, model=None)
    front = decision.times.fronts["encode", "psnr"]
    assert front.points == {
        "jpeg": (1.0, 0.0),
        "webp": (2.0, pytest.approx(-20)),
        "slow": (4.0, pytest.approx(-10)),
    }
    assert front.best == ("jpeg", "webp")
    assert decision.times.encode["webp"].seconds == Estimate(2.0, 2.0, 2.0)
    assert [finding.name for finding in decision.quality_control.findings] == ["no_record"]
