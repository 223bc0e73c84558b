"""Growth: all sizes and K take turns, and the first size is what others are compared with."""

from types import SimpleNamespace

import pytest
import torch

from roi_ray.bench import timing
from roi_ray.bench.growth import fit_curve, measure_growth
from roi_ray.bench.workload import Group

SMALL, LARGE = (100, 100), (200, 300)


def test_time_per_megapixel_is_compared_with_the_first_size(tmp_path, monkeypatch) -> None:
    groups = {
        (size, k): [Group(tmp_path / f"{size}", tuple(tmp_path / f"{n}" for n in range(k)))]
        for size in (SMALL, LARGE)
        for k in (1, 2)
    }
    calls, now = [], 0.0
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now))

    def score(groups: list[Group]) -> list[dict[str, float]]:
        nonlocal now
        (group,) = groups
        calls.append((group.reference.name, len(group.distorted)))
        large = group.reference.name == str(LARGE)
        # A pair of the large size takes 12 times as long, and has 6 times the pixels.
        now += 5 * len(group.distorted) * (12 if large else 1)
        return []

    memory = {key: {} for key in groups}
    growth = measure_growth(score, groups, memory, rounds=3, device=torch.device("cpu"))
    turn = [(f"{size}", k) for size in (SMALL, LARGE) for k in (1, 2)]
    assert calls == turn * 4  # the first is a warm-up
    assert [(g.height, g.width, g.per_reference) for g in growth] == [
        (*size, k) for size in (SMALL, LARGE) for k in (1, 2)
    ]
    assert [g.ratio for g in growth[:2]] == [1, 1]
    assert [g.ratio for g in growth[2:]] == pytest.approx([2, 2])
    assert growth[2].timing.ms_per_pair == pytest.approx(60_000)
    assert growth[3].ms_per_megapixel == pytest.approx(growth[3].timing.ms_per_pair / 0.06)


def test_curve_of_a_fixed_and_a_marginal_time_is_found() -> None:
    fit = fit_curve({k: 40 / k + 7 for k in (1, 2, 8, 24)})
    assert fit is not None
    assert (fit.fixed_ms, fit.marginal_ms) == pytest.approx((40, 7))
    assert fit.max_error < 1e-9
    assert fit_curve({1: 10.0, 2: 8.0}) is None
