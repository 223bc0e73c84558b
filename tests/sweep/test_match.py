"""The search for the quality that meets a target."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from roi_ray.errors import NonFiniteScore, TargetMissed
from roi_ray.sweep.codec import QualityScale
from roi_ray.sweep.match import MAX_TRIALS, match_target

HUNDRED = QualityScale("q", 1, 100, (50,))
DISTANCE = QualityScale("distance", 0, 25, (1.0,), step=0.01, higher_is_better=False)


class Curve:
    """A curve that counts what is asked of it."""

    def __init__(self, function: Callable[[float], float]) -> None:
        self.function = function
        self.asked: list[float] = []

    def __call__(self, quality: float) -> float:
        self.asked.append(quality)
        return self.function(quality)


@pytest.mark.parametrize("target", [0.02, 0.07, 0.25, 0.5, 1.0, 3.1, 4.0])
def test_closest_quality_of_a_monotonic_curve_is_found(target) -> None:
    curve = Curve(lambda quality: 0.02 * math.exp(quality / 20))
    match = match_target(HUNDRED, "bpp", target, curve, tolerance=1.0)
    values = {q: 0.02 * math.exp(q / 20) for q in range(1, 101)}
    best = min(values, key=lambda quality: abs(values[quality] - target))
    assert match == (best, values[best])
    assert len(curve.asked) == len(set(curve.asked)) <= 9


@pytest.mark.parametrize("higher_is_better", [True, False])
@pytest.mark.parametrize("metric", ["psnr", "ms_ssim", "ssimulacra2"])
def test_both_directions_of_a_scale(higher_is_better, metric) -> None:
    scale = QualityScale("q", 0, 50, (10,), higher_is_better=higher_is_better)
    target, unit = {"psnr": (35, 1), "ms_ssim": (0.935, 0.01), "ssimulacra2": (-15, 1)}[metric]

    def value(quality: float) -> float:
        return target + unit * (0.2 + (quality - 30 if higher_is_better else 20 - quality)) / 3

    match = match_target(scale, metric, target, value)
    assert match.quality == (29 if higher_is_better else 20) or match.quality in (29, 30, 20, 21)
    assert abs(match.value - target) == min(abs(value(q) - target) for q in range(51))


def test_fine_scale_ends_near_the_target_with_few_trials() -> None:
    curve = Curve(lambda distance: 45 - 8 * math.log(1 + distance))
    match = match_target(DISTANCE, "psnr", 33.0, curve)
    assert abs(match.value - 33) <= 0.05
    assert round(match.quality * 100) == pytest.approx(match.quality * 100)
    assert len(curve.asked) <= 12
    nearer = match_target(DISTANCE, "psnr", 33.0, curve, tolerance=0.05)
    assert abs(nearer.value - 33) <= 0.0125


def test_trials_are_bounded_on_any_scale() -> None:
    curve = Curve(lambda quality: quality)
    scale = QualityScale("q", 0, 1, (0.5,), step=1e-6)
    with pytest.raises(TargetMissed):
        match_target(scale, "bpp", 0.777777, curve, tolerance=1e-9)
    assert len(curve.asked) == MAX_TRIALS


def test_curve_with_a_dent_gives_the_closest_neighbour() -> None:
    values = {q: float(q) for q in range(1, 101)} | {37: 41.0, 38: 39.2, 39: 44.0, 40: 46.0}
    match = match_target(HUNDRED, "psnr", 39.0, lambda quality: values[quality])
    assert match == (38, 39.2)


@pytest.mark.parametrize("seed", range(20))
def test_noisy_curve_gives_a_tried_quality_the_same_each_time(seed) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.4, 101)
    curve = Curve(lambda quality: 20 + 0.25 * quality + float(noise[round(quality)]))
    first = match_target(HUNDRED, "psnr", 31.0, curve, tolerance=5)
    assert first.value == curve.function(first.quality)
    tried = {quality: abs(curve.function(quality) - 31) for quality in curve.asked}
    assert abs(first.value - 31) == min(tried.values())
    assert match_target(HUNDRED, "psnr", 31.0, curve, tolerance=5) == first


def test_of_equally_close_qualities_the_smaller_file_is_taken() -> None:
    match = match_target(HUNDRED, "bpp", 50.5, lambda quality: quality)
    assert match.quality == 50
    turned = QualityScale("q", 1, 100, (50,), higher_is_better=False)
    assert match_target(turned, "bpp", 50.5, lambda quality: 101 - quality).quality == 51


def test_missed_target_names_both_neighbours() -> None:
    with pytest.raises(TargetMissed) as missed:
        match_target(HUNDRED, "bpp", 0.25, lambda q: 0.1 if q < 30 else 0.268)
    assert str(missed.value) == (
        "no quality gives bpp 0.25 within 5 %: quality 29 gives 0.1 bpp, quality 30 gives 0.268 bpp"
    )


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (10.0, "quality 1 gives 21 dB, the worst of its scale"),
        (60.0, "quality 100 gives 45.75 dB, the best of its scale"),
    ],
)
def test_target_beyond_an_end_of_the_scale(target, text) -> None:
    with pytest.raises(TargetMissed, match=text):
        match_target(HUNDRED, "psnr", target, lambda q: 20.75 + q / 4)


def test_end_of_the_scale_within_the_tolerance_is_taken() -> None:
    match = match_target(HUNDRED, "psnr", 46.0, lambda q: 20.75 + q / 4)
    assert match == (100, 45.75)


def test_flat_curve() -> None:
    assert match_target(HUNDRED, "psnr", 40, lambda q: 40.2).value == 40.2
    with pytest.raises(TargetMissed, match=r"within 0\.5 dB: .*gives 42 dB"):
        match_target(HUNDRED, "psnr", 40, lambda q: 42.0)


def test_infinite_values_are_far_from_any_target() -> None:
    match = match_target(HUNDRED, "ssimulacra2", 40, lambda q: -math.inf if q < 30 else 40.5)
    assert match == (30, 40.5)


def test_value_that_is_not_a_number_is_named() -> None:
    with pytest.raises(NonFiniteScore, match="ms_ssim at quality 50 is not a number"):
        match_target(HUNDRED, "ms_ssim", 0.9, lambda q: math.nan)


def test_scale_of_one_quality() -> None:
    one = QualityScale("q", 5, 5, (5,))
    assert match_target(one, "bpp", 1.0, lambda q: 1.02) == (5, 1.02)
