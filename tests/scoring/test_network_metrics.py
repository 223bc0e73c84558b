"""LPIPS and the discriminator loss of strips: those of whole images."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from roi_ray.metrics import strips
from roi_ray.metrics.images import ImagePair, Strip
from roi_ray.metrics.metric import Metric, compute_metric
from roi_ray.metrics.strips import ImageStrips
from roi_ray.models import row_operations
from roi_ray.models.discriminator import load_discriminator
from roi_ray.models.lpips import LPIPS_NAMES, build_lpips, load_lpips
from roi_ray.scoring.network_metrics import DiscriminatorLoss, LpipsMetric
from tests.conftest import Photos, jpeg, to_tensor
from tests.models.test_discriminator import build_published, save_tensors
from tests.models.test_lpips import backbone_tensors, build_package_network

# Height, width and the first rows of all strips but the first.
SPLITS = [
    (137, 91, [32, 64, 96]),
    (97, 120, [40, 43, 44, 77]),
    (129, 33, [64]),  # narrower than many networks need
    (200, 20, [32, 64, 96, 128, 160, 197]),
    (22, 160, [7, 9]),  # lower than many networks need
    (224, 100, [32, 64, 96, 128, 160, 192]),
]

NORMS = {
    "batch": (nn.BatchNorm2d, False),
    "instance": (nn.InstanceNorm2d, True),
    "none": (lambda width: nn.Identity(), False),
}


@pytest.fixture
def no_waiting(monkeypatch) -> None:
    """Windows that wait for no rows, so that there are many of these small images."""
    monkeypatch.setattr(row_operations, "_MIN_ROWS", 1)


@pytest.fixture(scope="module")
def lpips_metrics() -> dict[str, Metric]:
    return {name: LpipsMetric(build_network(name)) for name in LPIPS_NAMES}


def build_network(name):
    """Load a network; with random weights where torchvision's files would be downloaded."""
    if name == "alex" or name.startswith("st-"):
        network = load_lpips(name)[0]
    else:
        package = build_package_network(name)
        network = build_lpips(name, backbone_tensors(package), package.state_dict()).eval()
    network.slices.to(memory_format=torch.channels_last)
    return network


def split(samples: torch.Tensor, cuts: list[int]) -> ImageStrips:
    height, width = samples.shape[-2:]
    parts = [Strip(start, end, height) for start, end in pairwise([0, *cuts, height])]
    return ImageStrips(
        len(samples), (height, width), 255, lambda start, end: samples[..., start:end, :], parts
    )


@torch.inference_mode()
def compute_maps(metric: Metric, reference: ImageStrips, images: list[ImageStrips]):
    """Compute the whole maps of batches of images that are compared with one reference."""
    preparing, comparing = metric.begin(reference), [metric.begin(each) for each in images]
    rows: list[list[list[torch.Tensor]]] = [[] for _ in images]
    for reference_strip, *distorted in zip(reference, *images, strict=True):
        prepared = preparing.prepare(reference_strip)
        for number, strip in enumerate(distorted):
            pair = ImagePair(reference_strip, strip)
            rows[number].append(list(comparing[number].compute_maps(prepared, pair)))
    return [
        [
            torch.cat([part for part in parts if part.shape[-2]], -2)
            for parts in zip(*each, strict=True)
        ]
        for each in rows
    ]


def make_samples(photo, *qualities: int) -> torch.Tensor:
    return torch.stack([to_tensor(jpeg(photo, quality)) for quality in qualities])


def check_maps(metric: Metric, photo, cuts: list[int], tolerance=1e-5, relative=False) -> None:
    reference = to_tensor(photo)[None]
    batches = [make_samples(photo, 10, 60), make_samples(photo, 30)]
    wholes = compute_maps(metric, split(reference, []), [split(samples, []) for samples in batches])
    in_strips = compute_maps(
        metric, split(reference, cuts), [split(samples, cuts) for samples in batches]
    )
    for whole, rows in zip(wholes, in_strips, strict=True):
        assert metric.map_heights(photo.shape[0]) == [each.shape[-2] for each in whole]
        for expected, found in zip(whole, rows, strict=True):
            scale = float(expected.abs().max()) if relative else 1
            assert found.shape == expected.shape
            assert float((found - expected).abs().max()) <= tolerance * scale


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("name", LPIPS_NAMES)
def test_lpips_maps_of_strips_equal_those_of_the_image(photos: Photos, lpips_metrics, name) -> None:
    # VGG takes longest.
    for height, width, cuts in SPLITS[::2] if "vgg" in name else SPLITS:
        check_maps(lpips_metrics[name], photos["coffee"][:height, :width], cuts)


@pytest.mark.usefixtures("no_waiting")
def test_discriminator_maps_of_strips_equal_those_of_the_image(photos: Photos) -> None:
    metric = DiscriminatorLoss(load_discriminator()[0])
    for height, width, cuts in SPLITS:
        check_maps(metric, photos["rocket"][:height, :width], cuts, relative=True)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("strided", [1, 2, 3, 4, 5])
def test_foreign_discriminator_on_strips(tmp_path, photos: Photos, norm, strided) -> None:
    torch.manual_seed(0)
    make_norm, bias = NORMS[norm]
    live = build_published(strided=strided, norm=make_norm, bias=bias)
    metric = DiscriminatorLoss(
        load_discriminator(save_tensors(tmp_path / "d.pth", live, "model."))[0]
    )
    for height, width, cuts in SPLITS:
        check_maps(metric, photos["coffee"][:height, :width], cuts, relative=True)


@pytest.mark.parametrize("weighting", ["mean", "normalised"])
@pytest.mark.parametrize("name", ["alex", "squeeze", "st-alex", "discriminator"])
def test_means_of_strips_equal_those_of_the_image(
    photos: Photos, lpips_metrics, monkeypatch, name, weighting
) -> None:
    metric = lpips_metrics.get(name) or DiscriminatorLoss(load_discriminator()[0])
    photo = photos["coffee"][100:301, 150:270]
    x, y = to_tensor(photo), make_samples(photo, 10, 60)
    mask = to_tensor(photos["coffee"][100:301, 150:270])[0] / 255
    whole, masked = (compute_metric(metric, x, y, each, weighting) for each in (None, mask))
    monkeypatch.setattr(strips, "WHOLE_PIXELS", 0)
    monkeypatch.setitem(strips.STRIP_PIXELS, "cpu", 120 * 32)
    for each, expected in ((None, whole), (mask, masked)):
        values = compute_metric(metric, x, y, each, weighting)
        for column, numbers in values.items():
            torch.testing.assert_close(numbers, expected[column], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["alex", "st-alex"])
def test_bf16_networks_on_strips_are_near_those_on_the_image(photos: Photos, name) -> None:
    network = build_network(name)
    network.slices.to(torch.bfloat16).to(memory_format=torch.channels_last)
    check_maps(LpipsMetric(network), photos["coffee"][:137, :91], [32, 64, 96], tolerance=0.05)


def test_images_of_one_strip_take_the_metric_itself(photos: Photos, lpips_metrics) -> None:
    images = ImageStrips.from_samples(make_samples(photos["coffee"][:64, :64], 10), 255)
    for metric in (lpips_metrics["alex"], DiscriminatorLoss(load_discriminator()[0])):
        assert metric.begin(images) is metric
