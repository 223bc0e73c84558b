"""Implementations are comparable only if they compute the same numbers."""

import re

import pytest
import torch

from roi_ray.bench.implementations import (
    ROI_RAY,
    ROI_RAY_COMMON,
    ROI_RAY_MS_SSIM,
    build_implementations,
    implement_common_metrics,
)
from roi_ray.bench.networks import build_networks
from roi_ray.bench.workload import make_groups
from roi_ray.errors import UsageError
from roi_ray.settings import Settings
from roi_ray.sweep import photographs
from tests.conftest import needs_x86, run_on_avx2

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    photos = list(photographs().values())
    return make_groups(photos, tmp_path_factory.mktemp("files"), (256, 320), 2, 3)


@pytest.mark.parametrize("saliency", ["packaged", "u2netp"])
def test_naive_loop_equals_the_scorer(groups, saliency) -> None:
    implementations = build_implementations(["naive"], Settings(), CPU, saliency)
    pairs = zip(implementations[ROI_RAY](groups), implementations["naive"](groups), strict=True)
    for ours, theirs in pairs:
        assert set(theirs) == {"mse", "roi_mse", "ms_ssim", "lpips", "d_loss"}
        for name in ("mse", "roi_mse", "ms_ssim", "lpips"):
            assert ours[name] == pytest.approx(theirs[name], abs=1e-5), name
        assert ours["d_loss"] == pytest.approx(theirs["d_loss"], abs=1e-4)


def test_common_metrics_equal_those_of_the_scorer(groups) -> None:
    scorer = build_implementations([], Settings(), CPU, "packaged")[ROI_RAY]
    common = implement_common_metrics(build_networks("packaged").networks, CPU)
    for all_metrics, some in zip(scorer(groups), common(groups), strict=True):
        assert set(some) == {"mse", "psnr", "ms_ssim", "lpips"}
        assert some == pytest.approx({name: all_metrics[name] for name in some})


def test_ms_ssim_alone_equals_the_package(groups) -> None:
    implementations = build_implementations(["pytorch_msssim"], Settings(), CPU, "packaged")
    assert ROI_RAY_COMMON not in implementations
    ours = implementations[ROI_RAY_MS_SSIM](groups)
    theirs = implementations["pytorch_msssim"](groups)
    for own, other in zip(ours, theirs, strict=True):
        assert own == pytest.approx(other, abs=1e-5)


def test_torchmetrics_equals_the_common_metrics(groups) -> None:
    pytest.importorskip("torchmetrics")
    implementations = build_implementations(["torchmetrics"], Settings(), CPU, "packaged")
    pairs = zip(
        implementations[ROI_RAY_COMMON](groups),
        implementations["torchmetrics"](groups),
        strict=True,
    )
    for ours, theirs in pairs:
        assert ours["psnr"] == pytest.approx(theirs["psnr"], abs=1e-3)
        assert ours["ms_ssim"] == pytest.approx(theirs["ms_ssim"], abs=5e-3)
        assert ours["lpips"] == pytest.approx(theirs["lpips"], abs=1e-5)


@needs_x86
def test_bf16_is_left_out_on_a_cpu_without_bf16() -> None:
    code = """
import torch
from roi_ray.bench.implementations import build_implementations
from roi_ray.settings import Settings
arguments = ([], Settings(), torch.device("cpu"), "packaged")
print(*build_implementations(*arguments, report=print))
"""
    run = run_on_avx2("-c", code)
    assert run.returncode == 0, run.stderr
    report, names = run.stdout.splitlines()
    assert re.fullmatch(
        r"bf16 is left out: on this CPU it takes \d+\.\d times as long as fp32", report
    )
    assert names == "roi-ray"


def test_unknown_or_missing_rival_is_refused(monkeypatch) -> None:
    expected = "unknown rival nobody; choose from naive, pytorch_msssim, torchmetrics, pyiqa"
    with pytest.raises(UsageError, match=expected):
        build_implementations(["nobody"], Settings(), CPU, "packaged")
    monkeypatch.setitem(__import__("sys").modules, "pyiqa", None)
    with pytest.raises(UsageError, match="pip install pyiqa"):
        build_implementations(["pyiqa"], Settings(), CPU, "packaged")
