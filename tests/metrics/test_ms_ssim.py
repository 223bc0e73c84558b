import pytest
import torch
from pytorch_msssim import ms_ssim as package_ms_ssim

from roi_ray.errors import ImageTooSmall
from roi_ray.metrics.compiled.ssim import average_similarity
from roi_ray.metrics.ms_ssim import Pyramid, filter_reference, ms_ssim, scales_that_fit
from roi_ray.metrics.similarity import similarity_map
from roi_ray.runtime import compiled
from roi_ray.verification.literal import ms_ssim as literal_ms_ssim
from tests.conftest import Photos, jpeg


def image(pixels):
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255


def measure(x, y):
    return float(ms_ssim(image(x), image(y)))


@pytest.mark.parametrize("quality", [1, 10, 50, 95])
@pytest.mark.parametrize(
    ("name", "height", "width"),
    [
        ("astronaut", 512, 512),
        ("chelsea", 300, 451),
        ("motorcycle_left", 499, 741),
        ("coffee", 161, 161),
        ("rocket", 163, 640),
    ],
)
def test_steps_equal_pytorch_msssim(photos: Photos, path, name, height, width, quality) -> None:
    x = photos[name][:height, :width]
    y = jpeg(x, quality)
    expected = package_ms_ssim(image(x)[None], image(y)[None], data_range=1.0)
    assert measure(x, y) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("quality", [10, 80])
@pytest.mark.parametrize(
    ("height", "width", "scales"),
    [(16, 16, 1), (11, 300, 1), (37, 500, 2), (41, 60, 3), (160, 161, 4), (161, 161, 5)],
)
def test_small_images_use_the_scales_that_fit(photos, path, height, width, scales, quality) -> None:
    x = photos["hubble_deep_field"][:height, :width]
    y = jpeg(x, quality)
    assert scales_that_fit(height, width) == scales
    expected = literal_ms_ssim(x / 255, y / 255, lambda level: float(level.mean()))
    assert measure(x, y) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_ms_ssim_function_equals_pytorch_msssim(photos: Photos, path, dtype) -> None:
    x, several = photos["chelsea"], [jpeg(photos["chelsea"], quality) for quality in (5, 50)]
    a, b = image(x), torch.stack([image(y) for y in several])
    expected = package_ms_ssim(a.expand_as(b), b, data_range=1.0, size_average=False)
    if dtype == torch.uint8:
        a, b = ((images * 255).round().to(dtype) for images in (a, b))
    assert ms_ssim(a, b).tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert float(ms_ssim(a, b[0])) == pytest.approx(float(expected[0]), abs=1e-5)


def test_identical_images_score_1(photos: Photos, path) -> None:
    x = photos["astronaut"]
    assert measure(x, x) == pytest.approx(1, abs=1e-6)


def test_identical_flat_images_score_nearly_1(path) -> None:
    levels = torch.arange(256, dtype=torch.uint8)[:, None, None, None]
    images = levels.expand(-1, 3, 40, 30)
    assert ms_ssim(images, images).tolist() == pytest.approx([1] * 256, abs=1e-4)


@pytest.mark.parametrize(("x", "y"), [(210, 212), (225, 230), (200, 190), (250, 250)])
def test_flat_images_are_near_the_exact_value_and_never_above_one(path, x, y) -> None:
    one, other = (torch.full((1, 3, 200, 200), level / 255) for level in (x, y))
    (got,) = ms_ssim(one, other)
    exact = package_ms_ssim(one.double(), other.double(), data_range=1.0).item()
    assert got <= 1
    # In float32, rounding makes a variance of 0 this inexact, in the package too.
    assert got.item() == pytest.approx(exact, abs=1e-3)


def test_inverted_image_equals_pytorch_msssim(photos: Photos) -> None:
    x = photos["astronaut"]
    expected = package_ms_ssim(image(x)[None], 1 - image(x)[None], data_range=1.0)
    assert measure(x, 255 - x) == pytest.approx(float(expected), abs=1e-5)


def test_image_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(ImageTooSmall, match=r"300 x 10 is smaller than SSIM's 11 x 11"):
        scales_that_fit(10, 300)


@pytest.mark.parametrize("height", [61, 200, 400])
def test_numbers_do_not_depend_on_the_batch_or_the_threads(photos: Photos, height) -> None:
    x = image(photos["coffee"][:height]).contiguous()[None]
    several = torch.stack([image(jpeg(photos["coffee"][:height], q)) for q in (10, 50, 90)])
    together = ms_ssim(x, several)
    assert torch.equal(ms_ssim(x.repeat(3, 1, 1, 1), several), together)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            alone = [ms_ssim(x, y[None]) for y in several]
            assert torch.equal(torch.cat(alone), together)
    finally:
        torch.set_num_threads(threads)


def test_batch_equals_single_images_without_kernels(photos: Photos, monkeypatch) -> None:
    monkeypatch.setattr(compiled, "can_compile", lambda: False)
    x = image(photos["coffee"]).contiguous()[None]
    several = torch.stack([image(jpeg(photos["coffee"], q)) for q in (10, 50, 90)])
    alone = torch.cat([ms_ssim(x, y[None]) for y in several])
    assert ms_ssim(x, several).tolist() == pytest.approx(alone.tolist(), abs=1e-7)


@pytest.mark.parametrize("masks", [1, 3])
@pytest.mark.parametrize("references", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(37, 61), (11, 11), (140, 300), (90, 640)])
def test_kernel_averages_what_torch_writes(
    photos: Photos, references, masks, height, width
) -> None:
    crop = photos["rocket"][:height, :width]
    draw = torch.Generator().manual_seed(0)
    # Noise, because in flat areas a difference of squares leaves few digits.
    noise = 0.3 * torch.rand(3, height, width, generator=draw)
    x = torch.stack([0.7 * image(crop) + noise] * references)
    y = torch.stack([0.7 * image(jpeg(crop, quality)) + noise for quality in (5, 40, 90)])
    for moments, distorted in zip(filter_reference(x), Pyramid(height, width).push(y), strict=True):
        weights = torch.rand(masks, *moments.mean.shape[-2:], generator=draw)
        for luminance in (False, True):
            maps = similarity_map(moments, distorted, luminance).double()
            prepared = (moments.image, moments.mean, moments.variance)
            whole, masked = average_similarity(prepared, distorted, weights, luminance)
            expected = maps.mean((-2, -1)), (maps * weights[:, None]).mean((-2, -1))
            assert torch.allclose(whole, expected[0], rtol=0, atol=1e-5)
            assert torch.allclose(masked, expected[1], rtol=0, atol=1e-5)
            ones = torch.ones_like(weights)
            assert torch.equal(*average_similarity(prepared, distorted, ones, luminance))


def assert_equals_torch(photo, references, compute) -> None:
    """Compare at two scales of odd sizes, for one shared reference or one per image."""
    x = torch.stack([image(photo[:37, :61])] * references)
    y = torch.stack([image(jpeg(photo[:37, :61], quality)) for quality in (5, 40, 90)])
    for moments, distorted in zip(filter_reference(x), Pyramid(37, 61).push(y), strict=True):
        for luminance in (False, True):
            ours = compute(moments, distorted, luminance)
            expected = similarity_map(moments, distorted, luminance)
            # In flat areas a difference of squares leaves few digits.
            assert float((ours - expected).abs().mean()) < 1e-5
            assert torch.allclose(ours, expected, rtol=0, atol=2e-3)


KERNELS = """
from roi_ray.imaging.decode import decode_image
from roi_ray.metrics.gaussian import gaussian_taps
from roi_ray.metrics.similarity import C1, C2
from roi_ray.metrics.triton import ssim
from roi_ray.sweep import photographs
from tests.metrics.test_ms_ssim import assert_equals_torch
import torch

def similarity(x, y, luminance):
    taps = gaussian_taps(y.device)
    constants = (C1, C2)
    return ssim.similarity_map(x.image, y, x.mean, x.variance, taps, constants, luminance)

photo = decode_image(photographs()["coffee"].read_bytes())
for references in (1, 3):
    assert_equals_torch(photo, references, similarity)
print("equal")
"""


def test_triton_kernels_equal_torch(run_in_triton_interpreter) -> None:
    assert run_in_triton_interpreter(KERNELS) == "equal\n"


UNDER_MASK = """
from roi_ray.imaging.decode import decode_image
from roi_ray.metrics.gaussian import gaussian_taps
from roi_ray.metrics.ms_ssim import Pyramid, combine_scales, filter_reference
from roi_ray.metrics.roi import GaussianView, mask_weights
from roi_ray.metrics.similarity import C1, C2
from roi_ray.metrics.triton import spatial_means, ssim
from roi_ray.sweep import photographs
from roi_ray.verification import literal
from tests.conftest import jpeg
from tests.metrics.test_ms_ssim import image
import numpy as np
import torch

photo = decode_image(photographs()["coffee"].read_bytes())[:67, :93]
other = jpeg(photo, 20)
mask = np.zeros(photo.shape[:2])
mask[-9:] = 1
for weighting in ("mean", "normalised"):
    means = []
    y = image(other)[None].contiguous()  # as the kernel needs it
    reference = filter_reference(image(photo)[None].contiguous())
    for scale, (x, y) in enumerate(zip(reference, Pyramid(67, 93).push(y), strict=True)):
        last = scale == len(reference) - 1
        taps = gaussian_taps(y.device)
        level = ssim.similarity_map(x.image, y, x.mean, x.variance, taps, (C1, C2), last)
        view = GaussianView().resize(torch.from_numpy(mask)[None], *level.shape[-2:])
        weights = mask_weights(view, weighting).float()
        means.append(spatial_means.whole_and_masked_means(level, weights)[1])
    expected = literal.masked_ms_ssim(photo / 255, other / 255, mask, weighting)
    assert abs(float(combine_scales(means)) - expected) < 1e-5
    assert expected > 0
print("equal")
"""


def test_triton_kernels_under_a_mask_equal_the_literal_method(run_in_triton_interpreter) -> None:
    assert run_in_triton_interpreter(UNDER_MASK) == "equal\n"
