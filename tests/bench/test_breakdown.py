import pytest
import torch

from roi_ray.bench.breakdown import measure, networks_share
from roi_ray.bench.contenders import backbones
from tests.conftest import encode


def test_flops_are_those_of_the_published_shapes(photos) -> None:
    pixels = photos["astronaut"][:224, :224]
    networks = backbones("packaged").networks
    parts, limits = measure(
        networks, encode(pixels), encode(pixels, "JPEG"), torch.device("cpu"), rounds=1
    )
    found = {part.name: part for part in parts}
    # AlexNet's five convolutions at 224 x 224, in torchvision's one-column form: 0.656 G
    # multiplications and additions each.
    assert found["LPIPS network"].gflop == pytest.approx(1.31, abs=0.01)
    assert found["LPIPS network"].gflop == found["LPIPS features"].gflop
    # The distorted image, the reference's moments and the maps: three planes of each, five scales.
    assert 0.0025 < found["MS-SSIM"].gbyte < 0.0045
    assert found["decode"].share is None
    assert 0 < found["MSE"].share < 1.5
    assert all(part.milliseconds > 0 for part in parts)
    assert min(limits.gflops, limits.gbytes) > 0
    assert 0 < networks_share(parts, limits.gflops, 8) < 2
