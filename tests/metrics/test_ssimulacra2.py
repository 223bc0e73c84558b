import csv
from pathlib import Path

import numpy as np
import pytest
import ssimulacra2.ssimulacra2 as package
import torch
import torch.nn.functional as F

from roi_ray.errors import ImageTooSmall
from roi_ray.imaging.load import load_image
from roi_ray.metrics.images import ImagePair, Images
from roi_ray.metrics.metric import compute_metric
from roi_ray.metrics.recursive_gaussian import blur
from roi_ray.metrics.roi import spatial_mean
from roi_ray.metrics.ssimulacra2 import METRIC, scales_that_fit, ssimulacra2
from roi_ray.runtime import compiled
from tests.conftest import Photos, deepen, encode, jpeg, needs_cuda, to_tensor, write
from tests.metrics import literal_ssimulacra2 as literal

DATA = Path(__file__).parents[3] / "shared" / "data"
REFERENCE_VALUES = DATA / "ssimulacra2.csv"
MUCPED23 = DATA / "mucped23"


@pytest.mark.skipif(
    not (REFERENCE_VALUES.exists() and MUCPED23.exists()),
    reason="needs the images of mucped23 and the reference tool's values for them",
)
def test_numbers_are_those_of_the_reference_tool() -> None:
    with REFERENCE_VALUES.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows[::97]:
        name, method = row["originalName"], row["method"]
        x = load_image(MUCPED23 / "originals" / f"{name}.png")
        y = load_image(MUCPED23 / method / f"{name}.jpg")
        # The tool prints six decimals. A processor without fused instructions rounds otherwise.
        assert float(ssimulacra2(to_tensor(x), to_tensor(y))) == pytest.approx(
            float(row["ssimu2"]), abs=0.01
        ), (name, method)


@pytest.mark.parametrize("quality", [5, 50, 90])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "rocket"])
def test_numbers_are_those_of_the_package_but_for_its_filter(
    photos: Photos, tmp_path, monkeypatch, name, quality
) -> None:
    x = photos[name]
    y = jpeg(x, quality)
    paths = [write(tmp_path / f"{n}.png", encode(each)) for n, each in enumerate((x, y))]
    number = float(ssimulacra2(to_tensor(x), to_tensor(y)))
    # The package's filter mirrors the image at its left and right, where the tool sees zeros, and
    # does not accumulate the tool's rounding errors.
    assert package.compute_ssimulacra2(*paths) == pytest.approx(number, abs=8)

    def filter_like_the_tool(pixels):
        planes = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
        return blur(planes)[0].permute(1, 2, 0).double().numpy()

    monkeypatch.setattr(package, "blur_image", filter_like_the_tool)
    assert package.compute_ssimulacra2(*paths) == pytest.approx(number, abs=0.1)


@pytest.mark.parametrize("quality", [20, 80])
@pytest.mark.parametrize(
    ("height", "width", "scales"),
    [
        (8, 8, 2),
        (8, 40, 2),
        (11, 11, 2),
        (15, 31, 3),
        (33, 60, 4),
        (64, 57, 5),
        (112, 130, 5),
        (113, 113, 6),
        (129, 200, 6),
    ],
)
def test_number_equals_the_literal_definition_at_any_size(
    photos: Photos, path, height, width, scales, quality
) -> None:
    x = photos["chelsea"][100 : 100 + height, 150 : 150 + width]
    y = jpeg(x, quality)
    assert scales_that_fit(height, width) == scales
    expected = literal.ssimulacra2(x / 255, y / 255)
    assert float(ssimulacra2(to_tensor(x), to_tensor(y))) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("quality", [20, 80])
@pytest.mark.parametrize(("height", "width"), [(11, 11), (64, 57), (129, 200)])
def test_luminance_alone_equals_the_literal_definition(
    photos: Photos, height, width, quality
) -> None:
    x = photos["chelsea"][100 : 100 + height, 150 : 150 + width]
    y = jpeg(x, quality)
    numbers = compute_metric(METRIC, to_tensor(x), to_tensor(y), None, "mean")
    expected = literal.ssimulacra2(x / 255, y / 255, channels=(1,))
    assert float(numbers["ssimulacra2_y"]) == pytest.approx(expected, abs=0.04)
    assert float(numbers["ssimulacra2_y"]) > float(numbers["ssimulacra2"])


def test_luminance_alone_hardly_sees_blurred_colour(photos: Photos) -> None:
    x = to_tensor(photos["coffee"]).float() / 255
    y = x - x.mean(0)  # colour, without brightness
    blurred = F.avg_pool2d(y, 9, 1, 4) + x.mean(0)
    numbers = compute_metric(METRIC, x, blurred.clamp(0, 1), None, "mean")
    assert numbers["ssimulacra2"] < 80
    assert numbers["ssimulacra2_y"] > numbers["ssimulacra2"] + 5


@pytest.mark.parametrize("size", [(11, 11), (64, 100), (300, 451)])
def test_identical_images_score_exactly_100(photos: Photos, size) -> None:
    x = to_tensor(photos["chelsea"][: size[0], : size[1]])
    assert ssimulacra2(x, x).item() == 100
    values = torch.rand(3, *size, generator=torch.Generator().manual_seed(3))
    assert ssimulacra2(values, values).item() == 100


def test_images_of_several_references_are_scored_alike_in_a_batch(photos: Photos) -> None:
    crops = [to_tensor(photos[name][:120, :150]) for name in ("chelsea", "coffee")]
    decoded = [to_tensor(jpeg(photos[name][:120, :150], 30)) for name in ("chelsea", "coffee")]
    alone = [float(ssimulacra2(x, y)) for x, y in zip(crops, decoded, strict=True)]
    assert ssimulacra2(torch.stack(crops), torch.stack(decoded)).tolist() == alone
    shared = ssimulacra2(crops[0], torch.stack([decoded[0], crops[0], crops[1]]))
    assert shared[:2].tolist() == [alone[0], 100]
    assert shared[2] < 0


def test_images_of_more_bits_are_scored_at_their_depth(photos: Photos) -> None:
    x, y = photos["chelsea"][:128, :160], jpeg(photos["chelsea"][:128, :160], 60)
    number = float(ssimulacra2(to_tensor(x), to_tensor(y)))
    for depth in (10, 16):
        deep = to_tensor(deepen(x, depth).astype(np.int32))[None]
        exact = to_tensor(np.rint(x / 255 * (2**depth - 1)).astype(np.int32))[None]
        distorted = Images(to_tensor(y)[None], 255)
        for samples, tolerance in ((exact, 0.3), (deep, 3)):
            references = Images(samples, 2**depth - 1)
            pair = ImagePair(references, distorted)
            maps = METRIC.compute_maps(METRIC.prepare(references), pair)
            result = METRIC.combine([spatial_mean(level) for level in maps])["ssimulacra2"]
            assert float(result) == pytest.approx(number, abs=tolerance)
            assert float(result) != number
            if depth == 16 and samples is exact:
                assert float(result) == pytest.approx(number, abs=0.02)


def test_numbers_do_not_depend_on_the_threads(photos: Photos) -> None:
    x = to_tensor(photos["rocket"][:150])
    several = torch.stack([to_tensor(jpeg(photos["rocket"][:150], q)) for q in (10, 90)])
    threads = torch.get_num_threads()
    numbers = []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            numbers.append(ssimulacra2(x, several))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(numbers[0], numbers[1])
    assert torch.equal(numbers[0], numbers[2])


@pytest.mark.parametrize("size", [(300, 451), (61, 640), (8, 9)])
def test_kernels_average_the_maps_of_torch(photos: Photos, monkeypatch, size) -> None:
    x = photos["rocket"][-size[0] :, : size[1]]
    references, images = (Images(to_tensor(each)[None], 255) for each in (x, jpeg(x, 40)))
    pair = ImagePair(references, images)
    averages = list(METRIC.average_maps(METRIC.prepare(references), pair, lambda *_: None))
    monkeypatch.setattr(compiled, "can_compile", lambda: False)
    maps = list(METRIC.compute_maps(METRIC.prepare(references), pair))
    assert len(maps) == len(averages)
    for expected, average in zip(maps, averages, strict=True):
        assert average.rows == expected.shape[-2]
        # Bit for bit the same maps: only their float64 sums are in another order.
        mean = expected.double().mean((-2, -1))
        assert torch.allclose(average.whole, mean, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(128, 160), (11, 11), (57, 43)])
def test_mask_of_ones_gives_the_same_number_to_the_last_bit(photos: Photos, path, shape) -> None:
    height, width = shape
    x, y = photos["coffee"][:height, :width], jpeg(photos["coffee"][:height, :width], 40)
    number = ssimulacra2(to_tensor(x), to_tensor(y))
    for weighting in ("mean", "normalised"):
        masked = ssimulacra2(to_tensor(x), to_tensor(y), torch.ones(shape), weighting)
        assert torch.equal(masked, number)


@pytest.mark.parametrize("weighting", ["mean", "normalised"])
@pytest.mark.parametrize(("height", "width"), [(128, 128), (57, 90)])
def test_number_under_a_mask_equals_the_literal_definition(
    photos: Photos, height, width, weighting
) -> None:
    x = photos["astronaut"][40 : 40 + height, 150 : 150 + width]
    y = jpeg(x, 40)
    mask = torch.zeros(height, width)
    mask[: height // 3, width // 4 :] = 1
    mask[height // 2 :, : width // 5] = 0.4
    weights, shape = [], (height, width)
    for _ in range(scales_that_fit(height, width)):
        cells = F.adaptive_avg_pool2d(mask.double()[None, None], shape)[0, 0].numpy()
        weight = literal.window_weights(cells)
        weights.append(weight / weight.mean() if weighting == "normalised" else weight)
        shape = tuple((side + 1) // 2 for side in shape)
    expected = literal.ssimulacra2(x / 255, y / 255, weights)
    number = float(ssimulacra2(to_tensor(x), to_tensor(y), mask, weighting))
    assert number == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    "region",
    [
        np.s_[-16:],
        np.s_[:16],
        np.s_[:, :16],
        np.s_[:, -16:],
        np.s_[-20:, -20:],
        np.s_[50:70, 50:70],
    ],
    ids=["bottom", "top", "left", "right", "corner", "middle"],
)
def test_regions_anywhere_order_qualities(photos: Photos, region) -> None:
    x = photos["coffee"][100:228, 200:328]
    mask = torch.zeros(128, 128)
    mask[region] = 1
    qualities = torch.stack([to_tensor(jpeg(x, quality)) for quality in (10, 30, 60, 95)])
    for weighting in ("mean", "normalised"):
        numbers = ssimulacra2(to_tensor(x), qualities, mask, weighting).tolist()
        assert numbers == sorted(numbers)
        assert len(set(numbers)) == 4


def test_damage_outside_the_region_hardly_counts(photos: Photos) -> None:
    x = photos["coffee"][:160, :160]
    y = x.copy()
    y[:, 100:] = jpeg(x, 5)[:, 100:]
    left = torch.zeros(160, 160)
    left[:, :40] = 1
    inside = float(ssimulacra2(to_tensor(x), to_tensor(y), left, "normalised"))
    outside = float(ssimulacra2(to_tensor(x), to_tensor(y), 1 - left, "normalised"))
    # The coarsest window is 288 pixels wide, so that some of the damage is seen from inside.
    assert inside > 85
    assert outside < 20


def test_without_a_region_there_is_no_number(photos: Photos) -> None:
    x = to_tensor(photos["coffee"][:64, :64])
    masks = torch.stack([torch.zeros(64, 64), torch.ones(64, 64)])
    numbers = ssimulacra2(x, torch.stack([x, x]), masks)
    assert numbers[0].isnan()
    assert numbers[1] == 100


def test_image_below_eight_pixels_is_refused() -> None:
    tiny = torch.zeros(3, 7, 20)
    with pytest.raises(ImageTooSmall, match="20 x 7 pixels; SSIMULACRA2 needs at least 8 x 8"):
        ssimulacra2(tiny, tiny)


def test_large_image_scores_as_its_definition(photos: Photos) -> None:
    x = np.tile(photos["rocket"][:220, :640], (1, 4, 1))  # 2,560 pixels wide: blocks of lines
    y = jpeg(x, 50)
    expected = literal.ssimulacra2(x / 255, y / 255)
    assert float(ssimulacra2(to_tensor(x), to_tensor(y))) == pytest.approx(expected, abs=0.05)


@needs_cuda
def test_gpu_gives_the_numbers_of_the_cpu(photos: Photos) -> None:
    x, y = to_tensor(photos["chelsea"]), to_tensor(jpeg(photos["chelsea"], 90))
    number = float(ssimulacra2(x, y))
    assert float(ssimulacra2(x.cuda(), y.cuda())) == pytest.approx(number, abs=1e-3)
