"""What can be asked for, and the scores of images."""

import threading

import numpy as np
import pytest
import torch

from roi_ray.errors import ImageTooSmall, UsageError
from roi_ray.scoring.score import score
from roi_ray.settings import Settings
from roi_ray.sweep.target import check_target, measure
from tests.conftest import deepen, jpeg


@pytest.mark.parametrize(
    ("metric", "value"),
    [("bpp", 0.01), ("bpp", 30), ("psnr", 99.9), ("ms_ssim", 0.5), ("ssimulacra2", -20)],
)
def test_usable_targets(metric, value) -> None:
    check_target(metric, value)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("bpp", 0, "give a number above 0$"),
        ("bpp", float("inf"), "give a number above 0$"),
        ("psnr", 100, "above 0 and below 100, which identical images have"),
        ("psnr", float("nan"), "above 0 and below 100$"),
        ("ms_ssim", 1, "above 0 and below 1"),
        ("ms_ssim", 97, "above 0 and below 1$"),
        ("ssimulacra2", 101, "below 100$"),
        ("vmaf", 90, "'vmaf' cannot be matched; choose from bpp, psnr, ms_ssim, ssimulacra2"),
    ],
)
def test_unusable_targets(metric, value, text) -> None:
    with pytest.raises(UsageError, match=text):
        check_target(metric, value)


@pytest.mark.parametrize("depths", [(8, 8), (10, 8), (12, 10), (16, 16), (8, 16)])
def test_scores_are_those_of_scoring(photos, depths) -> None:
    photo = photos["chelsea"][:200, :240]
    images = [photo, jpeg(photo, 30)]
    x, y = (
        image if depth == 8 else deepen(image, depth)
        for image, depth in zip(images, depths, strict=True)
    )
    scores = score(x, y, settings=Settings(metrics=("ssimulacra2",)), device="cpu")
    assert measure("psnr", x, y) == pytest.approx(scores.psnr, abs=1e-4)
    assert measure("ms_ssim", x, y) == pytest.approx(scores.ms_ssim, abs=1e-6)
    assert measure("ssimulacra2", x, y) == pytest.approx(scores.ssimulacra2, abs=1e-4)


def test_psnr_of_identical_and_of_opposite_images() -> None:
    white = np.full((9, 7, 3), 255, np.uint8)
    assert measure("psnr", white, white) == 100
    assert measure("psnr", white, white * 0) == 0


def test_small_image_is_refused_by_ms_ssim() -> None:
    small = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ImageTooSmall):
        measure("ms_ssim", small, small)


def test_scores_in_a_thread_leave_the_number_of_torchs_threads_to_others(photos) -> None:
    photo = photos["chelsea"][:64, :64]
    before = torch.get_num_threads()
    counts = []

    def score_and_count() -> None:
        measure("ms_ssim", photo, photo)
        counts.append(torch.get_num_threads())

    for work in (score_and_count, lambda: counts.append(torch.get_num_threads())):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert counts == [1, before]
    assert torch.get_num_threads() == before
