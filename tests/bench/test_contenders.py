"""A race between contenders that measure different things would mean nothing."""

import pytest
import torch

from roi_ray.bench import contenders
from roi_ray.bench.workload import make_groups
from roi_ray.errors import RoiRayError
from roi_ray.settings import Settings
from roi_ray.sweep import photographs

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    photos = list(photographs().values())
    return make_groups(photos, tmp_path_factory.mktemp("files"), (256, 320), 2, 3)


@pytest.mark.parametrize("saliency", ["packaged", "u2netp"])
def test_the_naive_loop_finds_the_same_numbers(groups, saliency) -> None:
    entrants = contenders.make(["naive"], Settings(), CPU, saliency)
    for ours, theirs in zip(entrants["roi-ray"](groups), entrants["naive"](groups), strict=True):
        assert set(theirs) == {"mse", "roi_mse", "ms_ssim", "lpips", "d_loss"}
        for name in ("mse", "roi_mse", "ms_ssim", "lpips"):
            assert ours[name] == pytest.approx(theirs[name], abs=1e-5), name
        assert ours["d_loss"] == pytest.approx(theirs["d_loss"], abs=1e-4)


def test_the_shared_metrics_are_the_scorer_s(groups) -> None:
    whole = contenders.make([], Settings(), CPU, "packaged")["roi-ray"](groups)
    part = contenders.shared(contenders.backbones("packaged").networks, CPU)(groups)
    for all_of_it, some in zip(whole, part, strict=True):
        assert some == pytest.approx({name: all_of_it[name] for name in contenders.SHARED})


def test_torchmetrics_finds_the_same_numbers(groups) -> None:
    pytest.importorskip("torchmetrics")
    entrants = contenders.make(["torchmetrics"], Settings(), CPU, "packaged")
    pairs = zip(entrants["roi-ray shared"](groups), entrants["torchmetrics"](groups), strict=True)
    for ours, theirs in pairs:
        assert ours["psnr"] == pytest.approx(theirs["psnr"], abs=1e-3)
        assert ours["ms_ssim"] == pytest.approx(theirs["ms_ssim"], abs=5e-3)
        assert ours["lpips"] == pytest.approx(theirs["lpips"], abs=1e-5)


def test_unknown_rivals_and_those_that_are_not_installed(monkeypatch) -> None:
    with pytest.raises(RoiRayError, match="rivals are naive, torchmetrics, pyiqa; not nobody"):
        contenders.make(["nobody"], Settings(), CPU, "packaged")
    monkeypatch.setitem(__import__("sys").modules, "pyiqa", None)
    with pytest.raises(RoiRayError, match="pip install pyiqa"):
        contenders.make(["pyiqa"], Settings(), CPU, "packaged")
