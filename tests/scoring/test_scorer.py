"""The scorer against a literal implementation of the method."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from roi_ray import schema
from roi_ray.errors import ImageReadError, ImageTooSmall, OutOfMemory, SizeMismatch
from roi_ray.models import discriminator, saliency
from roi_ray.scoring.scorer import Scorer, load_networks_for
from roi_ray.settings import DEFAULT_DISCRIMINATOR, DEFAULT_SALIENCY, EMPTY_MEAN, Settings
from roi_ray.verification import literal
from tests.conftest import jpeg, needs_cuda
from tests.models.test_lpips import build_package_alex, build_shift_tolerant_package


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=needs_cuda)])
def scorers(request):
    return {
        weighting: Scorer(Settings(roi_weighting=weighting), device=request.param)
        for weighting in ("mean", "normalised")
    }


@pytest.fixture(scope="module")
def package():
    return build_package_alex()


@pytest.mark.parametrize("weighting", ["mean", "normalised"])
@pytest.mark.parametrize(
    ("name", "height", "width"),
    [
        ("astronaut", 256, 256),
        ("chelsea", 299, 451),
        ("motorcycle_left", 67, 131),
        ("rocket", 37, 600),
        ("coffee", 67, 131),
    ],
)
def test_all_numbers_equal_the_literal_method(
    photos, scorers, package, name, height, width, weighting
) -> None:
    scorer = scorers[weighting]
    x = photos[name][:height, :width]
    several = [jpeg(x, 8), jpeg(x, 75)]
    network, _ = saliency.load_saliency(DEFAULT_SALIENCY)
    d, _ = discriminator.load_discriminator(DEFAULT_DISCRIMINATOR)
    with torch.inference_mode():
        logits = network(torch.from_numpy(x / 255.0).permute(2, 0, 1)[None].float())
    mask = literal.box_blur(logits[0, 0].sigmoid().double().numpy())
    prepared = scorer.prepare(x)
    np.testing.assert_allclose(prepared.mask.cpu().numpy(), mask, atol=1e-5)
    # The rest uses the scorer's mask: its last digits depend on the memory format of convolutions,
    # and decibels multiply the difference by ten.
    mask = prepared.mask.double().cpu().numpy()
    for y, scores in zip(several, scorer.score(prepared, several), strict=True):
        expected = literal.compute_scores(x / 255, y / 255, mask, weighting, package, d)
        got = {key: value for key, value in scores.to_dict().items() if key in expected}
        assert got == pytest.approx(expected, abs=1e-5)
        assert (scores.width, scores.height) == (width, height)


@pytest.mark.parametrize("weighting", ["mean", "normalised"])
def test_shift_tolerant_lpips_equals_the_literal_method(photos, weighting) -> None:
    scorer = Scorer(Settings(lpips="st-alex", roi_weighting=weighting))
    x = photos["chelsea"][:131, :173]
    y = jpeg(x, 30)
    prepared = scorer.prepare(x)
    (scores,) = scorer.score(prepared, [y])
    mask = prepared.mask.double().numpy()
    d, _ = discriminator.load_discriminator(DEFAULT_DISCRIMINATOR)
    package = build_shift_tolerant_package("st-alex")
    expected = literal.compute_scores(x / 255, y / 255, mask, weighting, package, d)
    for name in ("lpips", "roi_lpips"):
        assert getattr(scores, name) == pytest.approx(expected[name], abs=1e-5)


@pytest.mark.parametrize("weighting", ["mean", "normalised"])
@pytest.mark.parametrize("shape", [(128, 160), (16, 16), (37, 300), (11, 50)])
def test_mask_of_ones_equals_the_whole_image_exactly(photos, scorers, shape, weighting) -> None:
    x = photos["rocket"][200 : 200 + shape[0], 200 : 200 + shape[1]]
    scorer = scorers[weighting]
    prepared = scorer.prepare(x, np.full(shape, 255, np.uint8))
    for scores in scorer.score(prepared, [jpeg(x, 10), jpeg(x, 90)]):
        numbers = scores.to_dict()
        assert numbers.pop("roi_fraction") == 1
        regions = [name for name in numbers if name.startswith("roi_")]
        assert len(regions) == 10
        for name in regions:
            assert numbers[name] == numbers[name.removeprefix("roi_")], name


def test_identical_images_get_the_best_numbers(photos, scorers) -> None:
    for name in ("astronaut", "chelsea"):
        x = photos[name]
        (scores,) = scorers["mean"].score(scorers["mean"].prepare(x), [x])
        assert (scores.mse, scores.psnr, scores.lpips) == (0, 100, 0)
        assert scores.ms_ssim == pytest.approx(1, abs=1e-6)
        assert (scores.roi_mse, scores.roi_psnr, scores.roi_lpips) == (0, 100, 0)


@pytest.mark.parametrize(
    ("shape", "scales"), [((16, 16), 1), ((11, 11), 1), ((37, 600), 2), ((171, 333), 5)]
)
def test_any_size_gives_finite_numbers(photos, scorers, shape, scales) -> None:
    x = photos["motorcycle_left"][: shape[0], : shape[1]]
    (scores,) = scorers["mean"].score(scorers["mean"].prepare(x), [jpeg(x, 30)])
    numbers = scores.to_dict()
    if scores.roi_fraction < EMPTY_MEAN:  # the network sees nothing in some tiny images
        regions = {name for name in numbers if name.startswith("roi_")} - {"roi_fraction"}
        assert {numbers.pop(name) for name in regions} == {None}
    assert all(math.isfinite(value) for value in numbers.values())
    assert (scores.height, scores.width, scores.ms_ssim_scales) == (*shape, scales)


def test_very_wide_image_is_scored(scorers, photos) -> None:
    x = np.ascontiguousarray(np.tile(photos["motorcycle_left"][:37], (1, 3, 1))[:, :2000])
    (scores,) = scorers["mean"].score(scorers["mean"].prepare(x), [jpeg(x, 30)])
    assert (scores.height, scores.width) == (37, 2000)
    assert 0 < scores.lpips < 1


def test_numbers_follow_their_declared_direction(photos, scorers) -> None:
    x = photos["astronaut"]
    scorer = scorers["mean"]
    good, bad = scorer.score(scorer.prepare(x), [jpeg(x, 90), jpeg(x, 5)])
    for name in schema.PAPER_FEATURES:
        better = schema.MEANINGS[name].better
        assert (getattr(good, name) > getattr(bad, name)) == (better == "higher"), name


def test_batch_equals_single_images(photos) -> None:
    x = photos["astronaut"][:150, :200]
    several = [jpeg(x, quality) for quality in (5, 20, 35, 50, 65, 80, 95)]
    one, many = Scorer(batch=1), Scorer(batch=16)
    prepared = one.prepare(x)
    for alone, together in zip(
        one.score(prepared, several), many.score(many.prepare(x), several), strict=True
    ):
        assert alone.to_dict() == pytest.approx(together.to_dict(), rel=1e-6, abs=1e-6)


def test_bf16_scores_are_close_to_fp32(photos, scorers) -> None:
    x = photos["chelsea"]
    y = jpeg(x, 20)
    half = Scorer(
        Settings(precision="bf16"),
        device=str(scorers["mean"].device),
        allow_slow_precision=True,
    )
    (exact,) = scorers["mean"].score(scorers["mean"].prepare(x), [y])
    (rough,) = half.score(half.prepare(x), [y])
    assert (rough.mse, rough.ms_ssim) == (exact.mse, exact.ms_ssim)
    assert rough.lpips != exact.lpips
    assert rough.lpips == pytest.approx(exact.lpips, rel=0.03)
    assert rough.d_loss == pytest.approx(exact.d_loss, rel=0.03)
    assert rough.roi_fraction == pytest.approx(exact.roi_fraction, abs=0.02)


def test_mask_depends_on_the_reference_alone(photos, scorers) -> None:
    x = photos["coffee"]
    scorer = scorers["mean"]
    prepared = scorer.prepare(x)
    assert prepared.mask.shape == x.shape[:2]
    assert 0 <= float(prepared.mask.min()) <= float(prepared.mask.max()) <= 1
    fractions = {s.roi_fraction for s in scorer.score(prepared, [jpeg(x, 5), jpeg(x, 95)])}
    assert fractions == {prepared.roi_fraction}


def test_small_and_mismatched_images_are_refused(photos, scorers) -> None:
    scorer = scorers["mean"]
    x = photos["coffee"]
    with pytest.raises(ImageTooSmall, match="50 x 10"):
        scorer.prepare(x[:10, :50])
    with pytest.raises(SizeMismatch, match="600 x 399, but the reference is 600 x 400"):
        scorer.score(scorer.prepare(x), [x, x[1:]])
    with pytest.raises(SizeMismatch):
        scorer.prepare(x, np.zeros((400, 599), np.uint8))
    assert scorer.score(scorer.prepare(x), []) == []


def prepare_pairs(scorer, photos, size=(150, 170)):
    """Prepare pairs of three references with 1 to 4 images each, and score each reference alone."""
    names = ("coffee", "rocket", "chelsea")
    xs = [np.ascontiguousarray(photos[name][: size[0], : size[1]]) for name in names]
    masks = [None, np.full(size, 77, np.uint8), None]
    ys = [
        [jpeg(x, q) for q in (20, 40, 60, 80)[:count]]
        for x, count in zip(xs, (4, 1, 3), strict=True)
    ]
    references = scorer.prepare_all(xs, masks)
    pairs = [(r, y) for r, several in zip(references, ys, strict=True) for y in several]
    alone = Scorer(scorer.settings)
    expected = [
        score
        for x, mask, several in zip(xs, masks, ys, strict=True)
        for score in alone.score(alone.prepare(x, mask), several)
    ]
    return pairs, expected


@pytest.mark.parametrize("batch", [1, 2, 16])
@pytest.mark.parametrize("weighting", ["mean", "normalised"])
def test_pairs_of_several_references_equal_each_reference_alone(photos, batch, weighting) -> None:
    scorer = Scorer(Settings(roi_weighting=weighting), batch=batch)
    pairs, expected = prepare_pairs(scorer, photos)
    for got, want in zip(scorer.score_pairs(pairs), expected, strict=True):
        assert got.to_dict() == pytest.approx(want.to_dict(), rel=1e-5, abs=1e-6)


def test_shared_reference_is_weighted_by_the_scorer_that_uses_it(photos) -> None:
    x = photos["coffee"][:64, :96]
    mean, normalised = (Scorer(Settings(roi_weighting=name)) for name in ("mean", "normalised"))
    shared = mean.prepare(x)
    mean.score(shared, [jpeg(x, 10)])
    (got,) = normalised.score(shared, [jpeg(x, 10)])
    (expected,) = normalised.score(normalised.prepare(x), [jpeg(x, 10)])
    assert got == expected


def test_references_and_pairs_of_several_sizes_are_refused(photos, scorers) -> None:
    scorer, x = scorers["mean"], photos["coffee"]
    small = x[:64, :64]
    with pytest.raises(SizeMismatch, match="64 x 64, but the reference is 600 x 400"):
        scorer.prepare_all([x, small], [None, None])
    with pytest.raises(SizeMismatch):
        scorer.score_pairs([(scorer.prepare(x), x), (scorer.prepare(small), small)])


def test_precision_auto_is_fp32_on_a_cpu_and_fp16_on_a_gpu(photos, scorers) -> None:
    x = photos["coffee"][:64, :96]
    scorer = scorers["mean"]
    auto = Scorer(Settings(precision="auto"), device=str(scorer.device))
    assert auto.settings.precision == ("fp16" if scorer.device.type == "cuda" else "fp32")
    if scorer.device.type == "cpu":
        y = jpeg(x, 30)
        assert auto.score(auto.prepare(x), [y]) == scorer.score(scorer.prepare(x), [y])


def test_fp16_on_a_cpu_agrees_with_fp32_as_on_a_gpu(photos) -> None:
    x = photos["chelsea"]
    several = [jpeg(x, quality) for quality in (10, 60)]
    exact, half = Scorer(), Scorer(Settings(precision="fp16"), allow_slow_precision=True)
    for got, want in zip(
        half.score(half.prepare(x), several), exact.score(exact.prepare(x), several), strict=True
    ):
        assert got.lpips != want.lpips
        assert got.ms_ssim == want.ms_ssim
        for name in ("lpips", "d_loss"):
            assert getattr(got, name) == pytest.approx(
                getattr(want, name), rel=TOLERANCES["fp16"]
            ), name


# Relative changes allowed for the precision of the networks; in fp32, for the order of sums.
TOLERANCES = {"fp32": 2e-6, "fp16": 2e-3, "bf16": 2e-2}
# The same for an image of 37 rows, where errors average out over fewer positions.
TOLERANCES_FEW_ROWS = {"fp32": 5e-6, "fp16": 3e-3, "bf16": 2e-2}


@needs_cuda
@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize(
    ("size", "batch"),
    [((512, 512), 3), ((299, 451), 1), ((299, 451), 64), ((163, 640), 3), ((37, 600), 3)],
)
def test_cuda_equals_the_cpu(photos, precision, size, batch) -> None:
    x = photos["astronaut" if size == (512, 512) else "rocket"]
    x = photos["chelsea"] if size == (299, 451) else x
    x = np.ascontiguousarray(x[: size[0], : size[1]])
    several = [jpeg(x, quality) for quality in (10, 30, 60, 90)]
    cpu, gpu = Scorer(), Scorer(Settings(precision=precision), device="cuda", batch=batch)
    tolerance = (TOLERANCES_FEW_ROWS if size[0] == 37 else TOLERANCES)[precision]
    for got, want in zip(
        gpu.score(gpu.prepare(x), several), cpu.score(cpu.prepare(x), several), strict=True
    ):
        for name in ("mse", "psnr", "ms_ssim"):
            assert getattr(got, name) == pytest.approx(getattr(want, name), rel=1e-6), name
        for name in ("lpips", "d_loss"):
            assert getattr(got, name) == pytest.approx(getattr(want, name), rel=tolerance), name
        # The mask comes from a network too, and its relative error is large where it is small.
        for name in ("roi_mse", "roi_ms_ssim", "roi_lpips", "roi_d_loss", "roi_fraction"):
            loose = pytest.approx(getattr(want, name), rel=10 * tolerance, abs=tolerance / 2)
            assert getattr(got, name) == loose, name


@needs_cuda
def test_cuda_scores_several_references_in_one_batch(photos) -> None:
    scorer = Scorer(device="cuda", batch=3)
    pairs, expected = prepare_pairs(scorer, photos)
    for got, want in zip(scorer.score_pairs(pairs), expected, strict=True):
        assert got.to_dict() == pytest.approx(want.to_dict(), rel=1e-5, abs=2e-5)


class _LimitedDiscriminator(torch.nn.Module):
    """A discriminator that fails like a device whose memory holds only `room` images."""

    def __init__(self, network, room: int, error: Exception) -> None:
        super().__init__()
        self.network, self.room, self.error, self.batches = network, room, error, []
        self.layers, self.min_side = network.layers, network.min_side

    def forward(self, images):
        self.batches.append(len(images))
        if len(images) > self.room:
            raise self.error
        return self.network(images)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        MemoryError("std::bad_alloc"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_batch_too_large_for_the_memory_is_halved(photos, error) -> None:
    x = photos["astronaut"][:64, :96]
    several = [jpeg(x, quality) for quality in (5, 15, 25, 35, 45, 55, 65)]
    settings = Settings()
    networks = load_networks_for(settings)
    limited = _LimitedDiscriminator(networks.discriminator, 2, error)
    scorer = Scorer(settings, batch=16, networks=replace(networks, discriminator=limited))
    limited = scorer._networks.discriminator  # the scorer copies the networks
    plain = Scorer(settings)
    got = scorer.score(scorer.prepare(x), several)
    for one, other in zip(got, plain.score(plain.prepare(x), several), strict=True):
        assert one.to_dict() == pytest.approx(other.to_dict(), rel=1e-6, abs=1e-6)
    assert limited.batches == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    limited.room = 0
    with pytest.raises(OutOfMemory, match="96 x 64 needs more memory than there is"):
        scorer.score(scorer.prepare(x), several)


def test_other_runtime_errors_are_raised(photos) -> None:
    x = photos["coffee"][:64, :96]
    networks = load_networks_for(Settings())
    broken = _LimitedDiscriminator(networks.discriminator, 0, RuntimeError("shapes do not fit"))
    scorer = Scorer(networks=replace(networks, discriminator=broken))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        scorer.score(scorer.prepare(x), [x, x])


SCORE_WITH_LITTLE_MEMORY = """
import resource, sys
import numpy as np
import torch
from roi_ray.errors import OutOfMemory
from roi_ray.scoring.scorer import Scorer

torch.set_num_threads(1)
scorer = Scorer(batch=64)
rng = np.random.default_rng(0)
x = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
reference = scorer.prepare(x)
scorer.score(reference, [x])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (150 << 20), resource.RLIM_INFINITY))
start, sizes = scorer._batches._start_batch, []
scorer._batches._start_batch = lambda pairs: sizes.append(len(pairs)) or start(pairs)
scores = scorer.score(reference, [x] * 64)
print(len(scores), sizes[-1])
large = rng.integers(0, 256, (1240, 1240, 3), dtype=np.uint8)  # the largest in one strip
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (60 << 20), resource.RLIM_INFINITY))
try:
    scorer.prepare(large)
except OutOfMemory as error:
    print(error)
print(len(scorer.score(reference, [x] * 3)))
"""


def test_process_out_of_memory_continues_with_smaller_batches() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCORE_WITH_LITTLE_MEMORY], capture_output=True, text=True, check=True
    )
    batch, refusal, after = run.stdout.splitlines()
    count, left = map(int, batch.split())
    assert count == 64
    assert 1 <= left < 64
    assert refusal.startswith("1240 x 1240 needs more memory than there is")
    assert after == "3"


def test_next_call_tries_the_full_batch_again(photos) -> None:
    x = photos["coffee"][:64, :96]
    networks = load_networks_for(Settings())
    limited = _LimitedDiscriminator(networks.discriminator, 2, MemoryError("std::bad_alloc"))
    scorer = Scorer(batch=16, networks=replace(networks, discriminator=limited))
    limited = scorer._networks.discriminator
    reference = scorer.prepare(x)
    scorer.score(reference, [x] * 4)
    limited.room = 100
    limited.batches.clear()
    scorer.score(reference, [x] * 4)
    assert limited.batches == [4]


def test_scorers_that_share_networks_keep_their_precision(photos) -> None:
    x = photos["coffee"][:64, :96]
    networks = load_networks_for(Settings())
    scorer = Scorer(networks=networks)
    before = scorer.score(scorer.prepare(x), [jpeg(x, 30)])
    Scorer(Settings(precision="bf16"), networks=networks, allow_slow_precision=True)
    assert scorer.score(scorer.prepare(x), [jpeg(x, 30)]) == before


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((32, 32), np.uint8), r"uint8 \(32, 32\), which should be uint8 .*, 3\)"),
        (np.zeros((32, 32, 1), np.uint8), r"\(32, 32, 1\)"),
        (np.zeros(5, np.uint8), r"uint8 \(5,\), which should be"),
        (np.zeros((32, 32, 3), np.uint16), "a uint16 array does not say which value is white"),
        (np.zeros((32, 32, 3), np.float32), "an array of float32"),
    ],
)
def test_arrays_that_are_not_images_are_refused(image, message) -> None:
    scorer = Scorer()
    fine = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(ImageReadError, match=message):
        scorer.prepare(image)
    with pytest.raises(ImageReadError, match=message):
        scorer.score(scorer.prepare(fine), [image])
    for mask in (np.ones((32, 32), bool), fine):
        with pytest.raises(ImageReadError, match=r"should be uint8 \(height, width\)"):
            scorer.prepare(fine, mask)
    assert scorer.prepare_all([], []) == []
