import pytest
import torch

from roi_ray.bench.breakdown import compute_network_utilisation, measure_steps
from roi_ray.bench.networks import build_networks
from tests.conftest import encode


def test_operations_and_bytes_match_the_published_shapes(photos) -> None:
    pixels = photos["astronaut"][:224, :224]
    networks = build_networks("packaged").networks
    times, limits = measure_steps(
        networks, encode(pixels), encode(pixels, "JPEG"), torch.device("cpu"), rounds=1
    )
    steps = {step.name: step for step in times}
    # AlexNet's five convolutions at 224 x 224, in torchvision's one-column form: 0.656 G
    # multiplications and additions each.
    assert steps["LPIPS network"].gflop == pytest.approx(1.31, abs=0.01)
    assert steps["LPIPS network"].gflop == steps["LPIPS features"].gflop
    # The distorted image, the reference's moments and the maps: three planes of each, five scales.
    assert 0.0025 < steps["MS-SSIM"].gbyte < 0.0045
    assert steps["decode"].utilisation is None
    assert 0 < steps["MSE"].utilisation < 1.5
    assert all(step.milliseconds > 0 for step in times)
    assert min(limits.gflops, limits.gbytes) > 0
    assert 0 < compute_network_utilisation(times, limits.gflops, 8) < 2
