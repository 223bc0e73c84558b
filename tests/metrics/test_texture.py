"""Texture gained and lost, against scipy in float64 and by what must hold of them."""

import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from roi_ray import metrics
from roi_ray.errors import ImageTooSmall
from roi_ray.imaging.pixels import HighBitDepthImage
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from tests.conftest import Photos, jpeg, needs_cuda, to_tensor
from tests.metrics.depths import noisy_pair

NAMES = ("texture_gained", "texture_lost")


def local_means(image):
    """Average over the window, 11 x 11 pixels and sigma 1.5, where it is inside the image."""
    return ndimage.gaussian_filter(image, 1.5, radius=5)[5:-5, 5:-5]


def expected_texture(x, y, mask=None, normalised=False):
    """Compute texture gained and lost of sRGB values in [0, 1], (H, W, 3), in float64."""
    deviations = []
    for image in (x, y):
        luma = image @ [0.299, 0.587, 0.114]
        # The image less its own mean: float64 has digits enough, and flat areas are exactly 0.
        luma = luma - luma.mean()
        variance = local_means(luma**2) - local_means(luma) ** 2
        deviations.append(np.sqrt(np.maximum(variance, 0)))
    before, after = deviations
    weights = np.ones_like(before) if mask is None else local_means(mask)
    total = weights.sum() if normalised else weights.size
    changes = (np.maximum(after - before, 0), np.maximum(before - after, 0))
    return [np.sqrt((weights * c**2 / (before**2 + 1e-4)).sum() / total) for c in changes]


@pytest.mark.parametrize("quality", [5, 40, 75, 95])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "rocket"])
def test_jpegs_have_the_texture_that_scipy_computes(photos: Photos, rng, name, quality) -> None:
    x, y = photos[name], jpeg(photos[name], quality)
    mask = rng.random(x.shape[:2])
    mask[: len(mask) // 2] = 0
    a, b = x / 255, y / 255
    numbers = metrics.texture(to_tensor(x), to_tensor(y))
    assert numbers.dtype == torch.float64
    assert numbers.numpy() == pytest.approx(expected_texture(a, b), rel=1e-5)
    for weighting in ("mean", "normalised"):
        masked = metrics.texture(to_tensor(x), to_tensor(y), torch.from_numpy(mask), weighting)
        expected = expected_texture(a, b, mask, weighting == "normalised")
        assert masked.numpy() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("level", [0, 37, 128, 254])
def test_one_level_in_flat_areas_is_measured_exactly(level) -> None:
    """float32 would leave no digits of variances of 1e-9 beside a mean of 1."""
    x = np.full((40, 50, 3), level, np.uint8)
    y = x.copy()
    y[20, 25] += 1
    gained, lost = metrics.texture(to_tensor(x), to_tensor(y)).tolist()
    assert lost == 0
    assert gained == pytest.approx(expected_texture(x / 255, y / 255)[0], rel=1e-4)
    assert 1e-3 < gained < 2e-2


def test_identical_images_have_exactly_0(photos: Photos, rng) -> None:
    """In batches, too, and for references that were prepared alone."""
    noise = rng.integers(0, 256, (70, 90, 3), np.uint8)
    flat = np.full((70, 90, 3), 201, np.uint8)
    for image in (photos["chelsea"], photos["rocket"][:131, :97], noise, flat):
        x = to_tensor(image)
        assert torch.equal(metrics.texture(x, x), torch.zeros(2, dtype=torch.float64))
        batch = torch.stack([to_tensor(jpeg(image, 50)), x, to_tensor(jpeg(image, 90))])
        assert torch.equal(metrics.texture(x, batch)[1], torch.zeros(2, dtype=torch.float64))


def test_noise_in_flat_areas_is_gained_and_blur_is_lost(photos: Photos, rng) -> None:
    flat = np.full((64, 80, 3), 120, np.uint8)
    previous = 0.0
    for deviation in (1, 3, 10):
        noisy = np.round(flat + rng.normal(0, deviation, flat.shape)).astype(np.uint8)
        gained, lost = metrics.texture(to_tensor(flat), to_tensor(noisy)).tolist()
        assert lost == 0 and gained > 2 * previous
        previous = gained
    x = rng.random((64, 80, 3))
    blurred = ndimage.gaussian_filter(x, (2, 2, 0))
    gained, lost = metrics.texture(to_tensor(x), to_tensor(blurred)).tolist()
    assert gained == 0 and 0.5 < lost < 1
    photo = photos["astronaut"] / 255
    blurred = ndimage.gaussian_filter(photo, (2, 2, 0))
    gained, lost = metrics.texture(to_tensor(photo), to_tensor(blurred)).tolist()
    assert lost > 2 * gained  # edges spread into smooth areas


def test_swapped_roles_swap_what_is_gained_and_lost(rng) -> None:
    flat = torch.full((3, 50, 60), 0.4)
    noisy = flat + 0.2 * torch.from_numpy(rng.random((50, 60)))
    (gained, none), (nothing, lost) = metrics.texture(flat, noisy), metrics.texture(noisy, flat)
    assert none == nothing == 0
    assert gained > 2 and 0.9 < lost < 1


def test_noise_in_smooth_areas_counts_more_than_in_textured_ones(photos: Photos, rng) -> None:
    """Mean squared errors of both are the same."""
    x = np.full((120, 200, 3), 0.5)
    x[:, 100:] += rng.uniform(-0.3, 0.3, (120, 100, 1))
    noise = rng.normal(0, 0.02, (120, 100, 1))
    smooth, textured = x.copy(), x.copy()
    smooth[:, :100] += noise
    textured[:, 100:] += noise
    on_smooth, on_textured = metrics.texture(
        to_tensor(x), torch.stack([to_tensor(smooth), to_tensor(textured)])
    )[:, 0]
    assert on_smooth > 20 * on_textured > 0


def test_constant_shift_of_brightness_is_no_texture(photos: Photos) -> None:
    x = to_tensor(photos["coffee"]).double() / 255 * 0.8
    assert metrics.texture(x, x + 0.2).max() < 1e-5


def test_mask_says_where(rng) -> None:
    x = np.full((60, 100, 3), 90, np.uint8)
    y = x.copy()
    y[:, 60:] = rng.integers(80, 100, (60, 40, 1))
    left, right = np.zeros((2, 60, 100), np.uint8)
    left[:, :40], right[:, 70:] = 255, 255
    a, b = to_tensor(x), to_tensor(y)
    everywhere = metrics.texture(a, b)[0]
    assert metrics.texture(a, b, torch.from_numpy(left))[0] == 0
    inside = metrics.texture(a, b, torch.from_numpy(right), "normalised")[0]
    assert inside > 1.4 * everywhere
    ones = torch.ones(60, 100)
    assert torch.equal(metrics.texture(a, b, ones), metrics.texture(a, b))
    assert metrics.texture(a, b, 0 * ones).isnan().all()


def test_batches_equal_single_images(photos: Photos) -> None:
    crops = [photos[name][:101, :118] for name in ("chelsea", "coffee", "rocket")]
    x = torch.stack([to_tensor(crop) for crop in crops])
    y = torch.stack([to_tensor(jpeg(crop, 20)) for crop in crops])
    masks = torch.zeros(3, 101, 118)
    for number, mask in enumerate(masks):
        mask[20 * number : 20 * number + 40] = 0.5
    single = torch.stack([metrics.texture(*pair) for pair in zip(x, y, masks, strict=True)])
    assert torch.equal(metrics.texture(x, y, masks), single)
    assert torch.equal(metrics.texture(x[0], y)[1], metrics.texture(x[0], y[1]))


def test_scorer_measures_the_same(photos: Photos) -> None:
    x = np.ascontiguousarray(photos["coffee"][:120, :150])
    y = jpeg(x, 20)
    mask = np.zeros((120, 150), np.uint8)
    mask[20:90, 50:140] = 230
    scorer = Scorer(Settings(roi_weighting="normalised"))
    (scores,) = scorer.score(scorer.prepare(x, mask), [y])
    a, b = to_tensor(x), to_tensor(y)
    whole = metrics.texture(a, b).tolist()
    masked = metrics.texture(a, b, torch.from_numpy(mask), "normalised").tolist()
    assert [getattr(scores, name) for name in NAMES] == whole
    assert [getattr(scores, f"roi_{name}") for name in NAMES] == masked


@pytest.mark.parametrize(("a", "b"), [*itertools.product([8, 10, 16], [8, 12, 16])])
def test_images_of_any_depths_have_the_texture_of_their_samples(photos: Photos, rng, a, b) -> None:
    samples, images = noisy_pair(photos["chelsea"][:64, :80], (a, b), rng)
    scorer = Scorer()
    (scores,) = scorer.score(scorer.prepare(images[0]), [images[1]])
    expected = expected_texture(samples[0] / (2**a - 1), samples[1] / (2**b - 1))
    assert [getattr(scores, name) for name in NAMES] == pytest.approx(expected, rel=1e-5)


def test_same_image_at_8_and_16_bits_has_exactly_0(photos: Photos) -> None:
    x = photos["chelsea"][:64, :80]
    deep = HighBitDepthImage(x.astype(np.uint16) * 257, 16)
    scorer = Scorer()
    (scores,) = scorer.score(scorer.prepare(np.ascontiguousarray(x)), [deep])
    assert (scores.texture_gained, scores.texture_lost) == (0, 0)


def test_smallest_images(rng) -> None:
    x, y = rng.random((2, 11, 11, 3))
    numbers = metrics.texture(to_tensor(x), to_tensor(y))
    assert numbers.numpy() == pytest.approx(expected_texture(x, y), rel=1e-5)
    with pytest.raises(ImageTooSmall, match="30 x 10 is smaller than the 11 x 11 window"):
        metrics.texture(torch.zeros(3, 10, 30), torch.zeros(3, 10, 30))


@needs_cuda
def test_gpu_gives_the_numbers_of_the_cpu(photos: Photos) -> None:
    x = to_tensor(photos["rocket"])
    y = torch.stack([x, *(to_tensor(jpeg(photos["rocket"], quality)) for quality in (10, 80))])
    expected = metrics.texture(x, y)
    numbers = metrics.texture(x.cuda(), y.cuda()).cpu()
    assert torch.equal(numbers[0], expected[0])
    assert numbers.numpy() == pytest.approx(expected.numpy(), rel=1e-5)
