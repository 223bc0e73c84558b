from dataclasses import replace

import numpy as np
import pytest

from roi_ray.bench.compare.result import (
    Comparison,
    Piece,
    compare_numbers,
    compute_interval,
    summarise_piece,
)
from roi_ray.bench.compare.turns import PieceTimes
from roi_ray.report.bench_compare import build_compare_tables, draw_comparison, write_verdict


def make_comparison(*pieces: Piece, numbers=(), old_version: int = 4) -> Comparison:
    tree = {"name": "commit 0123456789", "scoring_version": old_version}
    return Comparison(
        old=tree,
        new={"name": "today", "scoring_version": 4},
        settings={"size": (512, 512)},
        tolerance=0.1,
        pieces=pieces,
        missing={"texture": {"old": "no roi_ray.metrics.texture"}},
        numbers=numbers,
        stored={"ms_per_pair": {"512 x 512, K = 8": 176.0}, "ratios": {"8": {"naive": 5.7}}},
    )


def summarise(*ratios: float) -> Piece:
    """Summarise a piece whose old tree takes so many times as long as the new one."""
    return summarise_piece("work", PieceTimes(ratios, (1.0,) * len(ratios), ({}, {})))


def test_interval_contains_the_median_of_almost_all_samples() -> None:
    samples = np.random.default_rng(0).lognormal(size=(2000, 10))
    intervals = [compute_interval(sample) for sample in samples]
    share = sum(low <= 1 <= high for low, high in intervals) / len(intervals)
    assert 0.95 <= share <= 0.995  # 0.979 by the binomial distribution


def test_piece_is_slower_only_if_the_whole_interval_is() -> None:
    assert summarise(0.7, 0.8, 0.75).is_slower(0.1)
    assert not summarise(0.7, 0.95, 0.75).is_slower(0.1)
    assert summarise(1.3, 1.2, 1.25).is_faster(0.1)
    assert summarise(1.3, 1.2, 1.25).ratio == 1.25


def test_verdict_names_what_is_slower_or_differs() -> None:
    fine, slow = summarise(1.0, 1.01, 0.99), replace(summarise(0.5, 0.5, 0.5), name="LPIPS")
    assert write_verdict(make_comparison(fine)).startswith("passed")
    assert "slower by more than 10%: LPIPS" in write_verdict(make_comparison(fine, slow))
    failing = summarise_piece("mse", PieceTimes((), (), ({}, {}), error="TypeError: x"))
    assert "fails: mse" in write_verdict(make_comparison(failing))
    numbers = compare_numbers([({"ms_ssim": [0.9, None]}, {"ms_ssim": [0.91, None]})], "fp32")
    assert "ms_ssim" in write_verdict(make_comparison(fine, numbers=numbers))
    assert make_comparison(fine, numbers=numbers, old_version=3).has_passed


def test_tables_and_picture_show_all_parts() -> None:
    comparison = make_comparison(summarise(1.0, 1.01, 0.99), summarise(0.5, 0.5, 0.5))
    titles = [str(table.title) for table in build_compare_tables(comparison)]
    assert [title.split(",")[0] for title in titles] == [
        "commit 0123456789 (old) and today's code (new)",
        "pieces of work that are not compared",
        "numbers: SCORING_VERSION is 4 in both; 0 columns are equal",
        "what the stored run said",
    ]
    assert draw_comparison(comparison).startswith(b"\x89PNG")
    assert comparison.as_json()["slower"] == ["work"]


def test_numbers_differ_if_they_differ_by_more_than_rounding() -> None:
    old = {"mse": [1e-3], "mse_y": [1e-3], "psnr": [30.0], "lpips": [0.2]}
    new = {"mse": [1e-3 + 1e-8], "mse_y": [1e-3], "psnr": [30.0], "lpips": [0.2 + 1e-6]}
    differences = {each.column: each for each in compare_numbers([(old, new)], "fp32")}
    assert [name for name, each in differences.items() if each.is_off] == ["mse"]
    assert differences["lpips"].largest == pytest.approx(1e-6)
    (missing,) = compare_numbers([({"roi_lpips": [None]}, {"roi_lpips": [0.1]})], "fp32")
    assert missing.is_off
