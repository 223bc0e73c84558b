"""Networks on strips of rows: the same results as on whole images."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from roi_ray.errors import UsageError
from roi_ray.models import row_operations
from roi_ray.models.rows import RowChain, count_rows, freeze_instance_norms
from roi_ray.models.shift_tolerant import Blur, BlurredConv, BlurredPool
from tests.conftest import Photos, to_tensor

CUTS = [
    [],
    [32, 64, 96],
    [1, 2, 3, 4, 5, 50],
    list(range(1, 137)),
    [135],
    [136],
    [64, 65, 129],
]


@pytest.fixture(params=[1, 8])
def min_rows(request, monkeypatch) -> None:
    """Windows that wait for no rows, so that small images have many, and those that do."""
    monkeypatch.setattr(row_operations, "_MIN_ROWS", request.param)


def fill_randomly(layer: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    for name, parameter in layer.named_parameters():
        values = torch.rand(parameter.shape, generator=generator)
        parameter.data = values + 0.5 if "bias" not in name else values
    return layer.eval().requires_grad_(False)


def make_fire() -> nn.Module:
    from torchvision.models.squeezenet import Fire

    return Fire(3, 2, 4, 5)


def make_batch_norm() -> nn.Module:
    norm = nn.BatchNorm2d(3)
    norm.running_mean = torch.tensor([0.1, 0.2, 0.3])
    return norm


def make_blurred_conv() -> nn.Module:
    conv, blur = nn.Conv2d(3, 4, 11, padding=2), Blur(4)
    return BlurredConv(fill_randomly(conv), fill_randomly(blur))


LAYERS = {
    "conv": lambda: nn.Conv2d(3, 4, 3, padding=1),
    "strided conv": lambda: nn.Conv2d(3, 4, (11, 5), stride=4, padding=2),
    "stride above kernel": lambda: nn.Conv2d(3, 4, 2, stride=5),
    "dilated conv": lambda: nn.Conv2d(3, 6, 3, padding=(4, 1), dilation=(4, 2), groups=3),
    "pool": lambda: nn.MaxPool2d(3, stride=2),
    "padded pool": lambda: nn.MaxPool2d(3, stride=1, padding=1),
    "pool with ceil": lambda: nn.MaxPool2d(3, stride=2, ceil_mode=True),
    "pool of 4 with ceil": lambda: nn.MaxPool2d(4, stride=4, ceil_mode=True),
    "batch norm": make_batch_norm,
    "fire": make_fire,
    "blur": lambda: Blur(3),
    "blurred conv": make_blurred_conv,
    "blurred pool": lambda: BlurredPool(nn.MaxPool2d(3, stride=1), fill_randomly(Blur(3))),
}


def run_in_strips(layers: list[nn.Module], images: torch.Tensor, cuts: list[int]) -> torch.Tensor:
    chain = RowChain(layers)
    height = images.shape[-2]
    rows = [
        chain(images[..., start:end, :], is_last=end == height)
        for start, end in pairwise([0, *(cut for cut in cuts if cut < height), height])
    ]
    return torch.cat([each for each in rows if each.shape[-2]], -2)


@pytest.fixture
def images(photos: Photos) -> torch.Tensor:
    return torch.stack([to_tensor(photos[name][:137, :61]) for name in ("coffee", "rocket")]) / 255


@pytest.mark.usefixtures("min_rows")
@pytest.mark.parametrize("name", LAYERS)
@torch.inference_mode()
def test_layer_on_strips_equals_the_layer_on_the_image(images, name) -> None:
    layer = LAYERS[name]()
    if name != "blurred conv":  # whose weights are computed from those of its parts
        fill_randomly(layer)
    for height in (137, 136, 33, 16):
        whole = layer(images[..., :height, :])
        assert count_rows([layer], height) == whole.shape[-2]
        for cuts in CUTS:
            rows = run_in_strips([layer], images[..., :height, :], cuts)
            torch.testing.assert_close(rows, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("min_rows")
@torch.inference_mode()
def test_sequence_on_strips_equals_the_sequence_on_the_image(images) -> None:
    conv = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Sequential(nn.ReLU(), nn.Identity()))
    layers = nn.Sequential(
        *(conv, LAYERS["pool with ceil"](), LAYERS["blur"](), nn.LeakyReLU(0.2, inplace=True)),
        *(LAYERS["fire"](), nn.Conv2d(9, 2, 4, padding=1)),
    )
    fill_randomly(layers)
    whole = layers(images)
    for cuts in CUTS:
        rows = run_in_strips([layers], images, cuts)
        torch.testing.assert_close(rows, whole, rtol=1e-6, atol=1e-5)
    assert count_rows([layers], 137) == whole.shape[-2]


@pytest.mark.parametrize("affine", [False, True])
@torch.inference_mode()
def test_frozen_instance_norms_equal_those_of_the_image(images, affine) -> None:
    torch.manual_seed(1)
    # A mean far from 0, where a difference of squares would lose digits.
    images = images + 100
    layers = nn.Sequential(
        *(nn.InstanceNorm2d(3, affine=affine), nn.Conv2d(3, 4, 4, stride=2, padding=1)),
        *(nn.InstanceNorm2d(4, affine=affine), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(4, 5, 4, stride=2, padding=1), nn.InstanceNorm2d(5)),
    )
    for norm in (layers[0], layers[2]) if affine else ():
        norm.weight.data.uniform_(0.5, 2)
        norm.bias.data.normal_()
    exact = layers.double()(images.double()).float()
    layers.float()
    for cuts in ([], [32, 64, 96], [1, 2, 3, 50]):
        strips = [
            (images[..., start:end, :], end == 137) for start, end in pairwise([0, *cuts, 137])
        ]
        frozen = freeze_instance_norms(layers, lambda strips=strips: strips)
        rows = run_in_strips(frozen, images, cuts)
        torch.testing.assert_close(rows, exact, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_kept_rows_stay_channels_last(images) -> None:
    layer = nn.Conv2d(3, 3, 3, padding=1).to(memory_format=torch.channels_last)
    chain = RowChain([layer, nn.MaxPool2d(2), layer])
    for start, end in pairwise([0, 32, 64, 96, 137]):
        rows = images[..., start:end, :].contiguous(memory_format=torch.channels_last)
        rows = chain(rows, is_last=end == 137)
        assert rows.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(2, stride=3, ceil_mode=True),
        nn.BatchNorm2d(3),
        nn.AdaptiveAvgPool2d(1),
    ],
    ids=["reflecting", "pool", "training", "adaptive"],
)
def test_unknown_layer_is_an_error(layer) -> None:
    with pytest.raises(UsageError, match="cannot be run on rows of a large image. Known are"):
        RowChain([nn.ReLU(), layer])
    with pytest.raises(UsageError, match="cannot be run on rows"):
        count_rows([layer], 100)


def test_instance_norm_without_statistics_is_an_error(images) -> None:
    chain = RowChain([nn.InstanceNorm2d(3)])
    with pytest.raises(UsageError, match="call freeze_instance_norms first"):
        chain(images, is_last=True)
