import math

import numpy as np
import pytest

from roi_ray.training.agreement import blur_mask, measure_agreement


@pytest.fixture
def masks():
    random = np.random.default_rng(0)
    return [random.random((70, 90), dtype=np.float32) for _ in range(3)]


def test_agreement_is_perfect_for_equal_masks_and_worst_for_opposites():
    teacher = [np.zeros((80, 80), np.float32), np.zeros((80, 80), np.float32)]
    teacher[0][20:50, 30:60] = 1
    teacher[1][5:20, :40] = 1
    result = measure_agreement(teacher, teacher)
    assert (result.images, result.empty, result.mae) == (2, 0, 0)
    assert result.max_f == pytest.approx(1)
    assert result.roi_correlation == pytest.approx(1)
    assert result.roi_correlation_per_image == pytest.approx(1)
    opposite = measure_agreement([1 - mask for mask in teacher], teacher)
    assert opposite.mae == 1
    assert opposite.max_f < 0.3


def test_max_f_equals_its_definition(masks):
    empty = np.zeros((70, 90), np.float32)
    teacher = [np.roll(mask, 1, axis=0) for mask in masks[:2]] + [empty]
    best = 0.0
    for threshold in range(256):
        f = []
        # The third image marks nothing and is left out.
        for mask, target in zip(masks[:2], teacher[:2], strict=True):
            marked, wanted = np.floor(mask * 255) >= threshold, target >= 0.5
            hits = (marked & wanted).sum()
            p, r = hits / max(marked.sum(), 1), hits / wanted.sum()
            f.append(1.3 * p * r / max(0.3 * p + r, 1e-12))
        best = max(best, np.mean(f))
    result = measure_agreement(masks, teacher)
    assert result.empty == 1
    assert result.max_f == pytest.approx(best, rel=1e-6)
    assert math.isnan(measure_agreement(masks[:1], [masks[0] * 0.4]).max_f)


def test_blur_mask_is_the_mean_of_rows_i_minus_25_to_i_plus_24(masks):
    blurred = blur_mask(masks[0])
    assert blurred.shape == masks[0].shape
    for i, j in ((0, 0), (30, 40), (69, 89), (25, 3)):
        window = masks[0][max(i - 25, 0) : i + 25, max(j - 25, 0) : j + 25]
        assert blurred[i, j] == pytest.approx(window.sum() / 2500, abs=1e-5)


def test_correlation_per_image_leaves_out_constant_masks(masks):
    empty = np.zeros((70, 90), np.float32)
    result = measure_agreement([masks[0], empty], [masks[0], empty])
    assert result.roi_correlation_per_image == pytest.approx(1)
