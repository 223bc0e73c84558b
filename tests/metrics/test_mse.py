import itertools
import math
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from roi_ray import metrics
from roi_ray.errors import SizeMismatch, UsageError
from roi_ray.metrics.images import ImagePair, Images
from roi_ray.metrics.mse import psnr_from_mse, squared_error_map
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import PSNR_CAP, Settings, Weighting
from roi_ray.verification import literal
from tests.conftest import Photos, deepen, jpeg, to_tensor


def error_map(x, y, bit_depths=(8, 8)):
    """Compute the map of samples as integers, (N, 3, H, W)."""
    images = (Images(s, 2**depth - 1) for s, depth in zip((x, y), bit_depths, strict=True))
    return squared_error_map(*ImagePair(*images).difference)


@pytest.mark.parametrize("quality", [5, 40, 95])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "rocket"])
def test_steps_equal_scikit_image(photos: Photos, name: str, quality: int) -> None:
    x, y = photos[name], jpeg(photos[name], quality)
    mse = error_map(to_tensor(x)[None], to_tensor(y)[None]).double().mean()
    assert float(mse) == pytest.approx(mean_squared_error(x / 255, y / 255), abs=1e-6, rel=1e-6)
    assert float(psnr_from_mse(mse)) == pytest.approx(peak_signal_noise_ratio(x, y), abs=1e-6)


def test_identical_images_get_the_psnr_cap(photos: Photos) -> None:
    x = to_tensor(photos["coffee"])
    mse = error_map(x[None], x[None]).mean()
    assert float(mse) == 0
    assert float(psnr_from_mse(mse)) == PSNR_CAP == 100


def test_smallest_difference_is_exact() -> None:
    x = np.zeros((20, 30, 3), np.uint8)
    y = x.copy()
    y[3, 4, 1] = 1
    level = error_map(to_tensor(x)[None], to_tensor(y)[None])
    assert level.shape == (1, 20, 30)
    assert float(level[0, 3, 4]) == pytest.approx(1 / 255**2 / 3, rel=1e-6)
    assert float(level.sum()) == float(level[0, 3, 4])


def test_error_map_of_any_depths_is_exact() -> None:
    """Against fractions: every depth against every other, at the samples where float64 is worst."""
    depths = (8, 9, 10, 12, 14, 16)
    for a, b in itertools.product(depths, depths):
        x_white, y_white = 2**a - 1, 2**b - 1
        samples = [(0, 1), (1, 0), (x_white, y_white - 1), (x_white // 3, y_white // 3), (1, 1)]
        x, y = (
            torch.tensor(side, dtype=torch.int32).expand(1, 3, 1, -1)
            for side in zip(*samples, strict=True)
        )
        expected = [Fraction(p, x_white) - Fraction(q, y_white) for p, q in samples]
        level = error_map(x, y, (a, b))
        assert level.dtype == (torch.float32 if a == b == 8 else torch.float64)
        assert level[0, 0].tolist() == pytest.approx(
            [float(error**2) for error in expected], rel=1e-7 if a == b == 8 else 1e-15, abs=0
        )


@pytest.mark.parametrize("weighting", get_args(Weighting))
def test_float64_tensors_give_a_float64_mse(photos: Photos, rng, weighting) -> None:
    """The way to score samples of 16 bits with the functions of tensors."""
    x, y = deepen(photos["rocket"][:90, :120], 16) / 65535, jpeg(photos["rocket"][:90, :120], 60)
    mask = rng.random((90, 120)) ** 3
    error = np.square(x - y / 255).mean(2)
    a, b = to_tensor(x), to_tensor(y)
    assert float(metrics.mse(a, b)) == pytest.approx(error.mean(), rel=1e-12)
    masked = metrics.mse(a, b, torch.from_numpy(mask), weighting)
    expected = literal.masked_mean(error, mask, weighting)
    assert float(masked) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_mse_and_psnr_equal_numpy(photos: Photos, dtype) -> None:
    x, y = photos["chelsea"], jpeg(photos["chelsea"], 20)
    expected = float(np.square(x / 255 - y / 255).mean())
    a, b = (
        to_tensor(image) if dtype == torch.uint8 else to_tensor(image / 255).to(dtype)
        for image in (x, y)
    )
    assert metrics.mse(a, b).dtype == torch.float64
    assert float(metrics.mse(a, b)) == pytest.approx(expected, rel=1e-6)
    assert float(metrics.psnr(a, b)) == pytest.approx(peak_signal_noise_ratio(x, y), abs=1e-6)


def test_one_reference_serves_a_batch(photos: Photos) -> None:
    x = to_tensor(photos["coffee"])
    batch = torch.stack([to_tensor(jpeg(photos["coffee"], quality)) for quality in (10, 50, 90)])
    expected = [float(metrics.psnr(x, y)) for y in batch]
    assert metrics.psnr(x, batch).tolist() == expected
    assert metrics.psnr(x.expand_as(batch), batch).tolist() == expected
    assert metrics.psnr(x[None], batch[:1]).shape == (1,)
    assert metrics.psnr(x, batch[0]).shape == ()


@pytest.mark.parametrize("weighting", get_args(Weighting))
def test_masked_metrics_equal_the_literal_method(photos: Photos, rng, weighting) -> None:
    x = photos["rocket"][:90, :120]
    y = jpeg(x, 15)
    mask = rng.random((90, 120)) ** 3
    a, b = x / 255, y / 255
    mse = literal.masked_mean(np.square(a - b).mean(2), mask, weighting)
    ms_ssim = literal.masked_ms_ssim(a, b, mask, weighting)
    given = (to_tensor(a).float(), to_tensor(b).float(), torch.from_numpy(mask), weighting)
    assert float(metrics.mse(*given)) == pytest.approx(mse, rel=1e-6)
    assert float(metrics.psnr(*given)) == pytest.approx(literal.psnr(mse), abs=1e-5)
    assert float(metrics.ms_ssim(*given)) == pytest.approx(ms_ssim, abs=1e-5)


@pytest.mark.parametrize("weighting", get_args(Weighting))
def test_metrics_equal_the_scores_of_scorer(photos: Photos, weighting) -> None:
    x = np.ascontiguousarray(photos["coffee"][:180, :200])
    several = [jpeg(x, quality) for quality in (10, 70)]
    mask = np.zeros((180, 200), np.uint8)
    mask[20:90, 50:140] = 230
    scorer = Scorer(Settings(roi_weighting=weighting))
    a, b = to_tensor(x), torch.stack([to_tensor(y) for y in several])
    for number, scores in enumerate(scorer.score(scorer.prepare(x, mask), several)):
        for name in ("mse", "psnr", "ms_ssim"):
            metric = getattr(metrics, name)
            assert float(metric(a, b)[number]) == getattr(scores, name)
            masked = metric(a, b, torch.from_numpy(mask), weighting)
            assert float(masked[number]) == getattr(scores, f"roi_{name}")


@pytest.mark.parametrize("name", ["mse", "psnr", "ms_ssim", "mse_ycbcr", "texture"])
def test_masks_without_a_region_give_no_number(photos: Photos, name) -> None:
    metric, x = getattr(metrics, name), to_tensor(photos["coffee"][:64, :80])
    batch = torch.stack([to_tensor(jpeg(photos["coffee"][:64, :80], q)) for q in (10, 50)])
    masks = torch.zeros(2, 64, 80, dtype=torch.uint8)
    masks[1, 20:40] = 255
    empty, masked = metric(x, batch, masks)
    assert empty.isnan().all()
    assert torch.equal(masked, metric(x, batch[1], masks[1]))


@pytest.mark.parametrize("name", ["mse", "psnr", "ms_ssim"])
def test_mask_per_image_equals_single_images(photos: Photos, rng, name) -> None:
    metric, x = getattr(metrics, name), to_tensor(photos["coffee"][:64, :80])
    batch = torch.stack([to_tensor(jpeg(photos["coffee"][:64, :80], q)) for q in (10, 50)])
    masks = torch.from_numpy(rng.random((2, 64, 80)))
    together = metric(x, batch, masks)
    alone = [float(metric(x, y, mask)) for y, mask in zip(batch, masks, strict=True)]
    assert together.tolist() == pytest.approx(alone, abs=1e-7)
    ones = torch.ones(64, 80, dtype=torch.bool)
    assert torch.equal(metric(x, batch, ones), metric(x, batch))


@pytest.mark.parametrize("name", ["mse", "psnr", "ms_ssim"])
@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (torch.zeros(3, 31, 32), SizeMismatch, "y is 32 x 31, but the reference is 32 x 32"),
        (torch.zeros(32, 32), UsageError, r"y has the shape \(32, 32\); give \(3, H, W\)"),
        (torch.zeros(1, 32, 32), UsageError, r"y has the shape \(1, 32, 32\)"),
        (torch.zeros(3, 32, 32, dtype=torch.int64), UsageError, r"y has the type torch\.int64"),
        (
            torch.zeros(3, 32, 32, dtype=torch.uint16),
            UsageError,
            r"torch\.uint16, which does not say which value is white; divide .* by 2\^n - 1",
        ),
        (
            torch.full((3, 32, 32), 255.0),
            UsageError,
            r"y has values from 255 to 255; .* in \[0, 1]",
        ),
        (torch.full((3, 32, 32), math.nan), UsageError, "y has values from nan to nan"),
        (torch.zeros(0, 3, 32, 32), UsageError, "y is empty"),
        (np.zeros((3, 32, 32), np.uint8), UsageError, r"y is a ndarray; give a torch\.Tensor"),
    ],
)
def test_unusable_tensors_are_refused(name, y, error, message) -> None:
    with pytest.raises(error, match=message):
        getattr(metrics, name)(torch.zeros(3, 32, 32), y)


@pytest.mark.parametrize("name", ["mse", "psnr", "ms_ssim"])
def test_unusable_masks_and_weightings_are_refused(name) -> None:
    metric, x, batch = getattr(metrics, name), torch.zeros(3, 32, 32), torch.zeros(2, 3, 32, 32)
    with pytest.raises(SizeMismatch, match="mask is 31 x 32, but the reference is 32 x 32"):
        metric(x, x, torch.zeros(32, 31))
    with pytest.raises(UsageError, match="mask has values from 2 to 2"):
        metric(x, x, torch.full((32, 32), 2.0))
    with pytest.raises(UsageError, match=r"mask has the shape \(1, 1, 32, 32\)"):
        metric(x, x, torch.zeros(1, 1, 32, 32))
    with pytest.raises(UsageError, match="3 masks for 2 distorted images"):
        metric(x, batch, torch.zeros(3, 32, 32))
    with pytest.raises(UsageError, match="2 references for 1 distorted images"):
        metric(batch, x)
    with pytest.raises(UsageError, match="no weighting is called 'sum'; give one of mean, norm"):
        metric(x, x, torch.zeros(32, 32), "sum")


@pytest.mark.parametrize("name", ["mse", "psnr", "ms_ssim"])
def test_uint8_masks_of_0_and_1_are_refused(photos: Photos, name) -> None:
    metric, x = getattr(metrics, name), to_tensor(photos["coffee"][:64, :80])
    batch = torch.stack([to_tensor(jpeg(photos["coffee"][:64, :80], q)) for q in (10, 50)])
    inside = torch.zeros(64, 80, dtype=torch.bool)
    inside[10:50, 20:60] = True
    good = inside.to(torch.uint8) * 255
    expected = metric(x, batch, good)
    assert torch.equal(expected, metric(x, batch, inside))
    assert torch.equal(expected, metric(x, batch, inside.float()))
    zero_one = inside.to(torch.uint8)
    for mask in (zero_one, torch.stack([good, zero_one]), torch.ones_like(good)):
        with pytest.raises(UsageError, match="is 1, but 255 .* by 255; or give a mask of bool or"):
            metric(x, batch, mask)
    with pytest.raises(UsageError, match="hard edges and no value above 3 of 255"):
        metric(x, batch, zero_one * 3)
    assert metric(x, batch, good // 255 * 60).shape == (2,)
