import pytest
import torch

from roi_ray.bench.breakdown import compute_network_utilisation, measure_steps
from roi_ray.bench.networks import build_networks
from tests.conftest import encode


def test_steps_are_complete_and_their_operations_match_the_published_shapes(photos) -> None:
    pixels = photos["astronaut"][:224, :224]
    networks = build_networks("packaged").networks
    files = encode(pixels), encode(pixels, "JPEG")
    breakdown = measure_steps(networks, *files, torch.device("cpu"), rounds=1)
    steps = {(step.name, step.per_reference): step for step in breakdown.steps}
    # AlexNet's first two convolutions at 224 x 224, in torchvision's one-column form; of the other
    # three, 36 products for each of the 4 x 4 tiles of their 13 x 13 outputs.
    first_two = 3 * 64 * 11**2 * 55**2 + 64 * 192 * 5**2 * 27**2
    others = 36 * 4 * 4 * (192 * 384 + 384 * 256 + 256 * 256)
    network = steps["LPIPS network", False]
    assert network.gflop == pytest.approx(2 * (first_two + others) / 1e9, rel=1e-6)
    assert network.gflop == steps["LPIPS network", True].gflop
    assert network.is_part and not steps["LPIPS", False].is_part
    assert steps["saliency network", True].is_part
    # Two images of 8 bits, and the reference's moments: five scales of three planes of each.
    assert steps["MS-SSIM", False].gbyte > 2 * 224 * 224 * 3 / 1e9
    for name in ("MSE", "MSE of luma and chroma", "texture", "discriminator", "decode", "numbers"):
        assert steps[name, False].milliseconds > 0
    assert ("weights of the mask", True) in steps
    assert all(step.milliseconds >= 0 for step in breakdown.steps)
    limits = breakdown.limits
    assert min(limits.gflops, limits.gbytes) > 0
    assert 0 < compute_network_utilisation(breakdown.steps, limits.gflops, 8) < 2
    assert breakdown.whole.pair_ms > 0
    of_pair = [step for step in breakdown.steps if not (step.per_reference or step.is_part)]
    assert breakdown.sum_steps(per_reference=False) == sum(step.milliseconds for step in of_pair)
