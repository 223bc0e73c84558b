import pytest
import torch

from roi_ray.bench.contenders import backbones
from roi_ray.bench.parts import measure, networks_share
from tests.conftest import encode


def test_flops_are_those_of_the_published_shapes(photos) -> None:
    pixels = photos["astronaut"][:224, :224]
    networks = backbones("packaged").networks
    parts, limit = measure(
        networks, encode(pixels), encode(pixels, "JPEG"), torch.device("cpu"), rounds=1
    )
    found = {part.name: part for part in parts}
    # AlexNet's five convolutions at 224 x 224, in torchvision's one-column form: 0.656 G
    # multiplications and additions each.
    assert found["LPIPS network"].gflop == pytest.approx(1.31, abs=0.01)
    assert found["LPIPS network"].gflop == found["LPIPS features"].gflop
    assert found["MS-SSIM"].share is None
    assert all(part.milliseconds > 0 for part in parts)
    assert limit > 0
    assert 0 < networks_share(parts, limit, 8) < 2
