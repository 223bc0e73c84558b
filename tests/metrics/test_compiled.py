"""Compiled kernels give the numbers of the torch operations that run where numba cannot compile."""

from typing import get_args

import pytest
import torch

from roi_ray.metrics import ms_ssim, mse, mse_ycbcr, ssimulacra2, texture
from roi_ray.metrics.images import Images
from roi_ray.runtime import compiled
from roi_ray.settings import Weighting
from tests.conftest import Photos, jpeg, to_tensor

FUNCTIONS = {mse: 1e-6, mse_ycbcr: 1e-6, ms_ssim: 1e-5, texture: 1e-5, ssimulacra2: 1e-7}
"""Functions, and relative tolerances."""


def compute_both(monkeypatch, compute):
    """Compute with kernels, and without them."""
    assert compiled.can_compile()
    with monkeypatch.context() as without:
        without.setattr(compiled, "can_compile", lambda: False)
        expected = compute()
    return compute(), expected


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(("height", "width"), [(11, 11), (27, 300), (193, 170), (170, 640)])
def test_kernels_equal_torch(photos: Photos, monkeypatch, function, height, width) -> None:
    crops = [photos[name][-height:, -width:] for name in ("rocket", "coffee", "astronaut")]
    crops = [crop for crop in crops if crop.shape[1] == width]
    x = torch.stack([to_tensor(crop) for crop in crops])
    y = torch.stack([to_tensor(jpeg(crop, 30)) for crop in crops])
    mask = torch.rand(len(x), height, width, generator=torch.Generator().manual_seed(0)) ** 3
    planes = (x.float().contiguous() / 255, y.double().contiguous() / 255)
    for a, b, masks in ((x, y, None), (x, y, mask), (x[0], y, mask[0]), (*planes, mask)):
        for weighting in get_args(Weighting):
            numbers, expected = compute_both(
                monkeypatch, lambda a=a, b=b, m=masks, w=weighting: function(a, b, m, w)
            )
            assert numbers.shape == expected.shape
            assert torch.allclose(numbers, expected, rtol=FUNCTIONS[function], atol=1e-9)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_mask_of_ones_gives_the_number_of_the_whole_image(photos: Photos, function) -> None:
    x = to_tensor(photos["chelsea"])
    y = torch.stack([to_tensor(jpeg(photos["chelsea"], quality)) for quality in (5, 60)])
    whole = function(x, y)
    for weighting in get_args(Weighting):
        assert torch.equal(function(x, y, torch.ones(x.shape[1:]), weighting), whole)


def test_planes_are_the_values(photos: Photos) -> None:
    interleaved = torch.stack([to_tensor(photos["coffee"][:33, :47])] * 2)
    for samples in (interleaved, interleaved.contiguous(), interleaved[..., ::2]):
        images = Images(samples, 255)
        assert images.planes.is_contiguous()
        assert torch.equal(images.planes, images.values)
