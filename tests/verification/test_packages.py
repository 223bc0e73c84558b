import sys

import pytest
import torch

from roi_ray.errors import WeightsError
from roi_ray.models.discriminator import load_discriminator
from roi_ray.models.lpips import load_lpips
from roi_ray.models.saliency import load_saliency
from roi_ray.verification import packages
from roi_ray.verification.reference_networks import load_reference_networks
from tests.models.test_lpips import build_package_alex


def test_package_filled_with_our_files_is_the_package(photos) -> None:
    ours = packages.build_lpips("alex", load_lpips("alex")[1])
    x, y = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert float(ours(x, y, normalize=True)) == float(
            build_package_alex()(x, y, normalize=True)
        )


def test_building_a_package_leaves_the_random_state() -> None:
    before = torch.get_rng_state()
    packages.build_lpips("alex", load_lpips("alex")[1])
    assert torch.equal(before, torch.get_rng_state())


def test_tensors_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match="do not fit its package"):
        packages.build_lpips("squeeze", load_lpips("alex")[1])


def test_package_that_cannot_be_imported_is_a_reason(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.startswith("stlpips_pytorch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "IPython", None)
    files = {
        "lpips": [load_lpips("st-alex")[1][0].identity],
        "saliency": [load_saliency()[1].identity],
        "discriminator": [load_discriminator()[1].identity],
    }
    run = {"config": {"weights": files}}
    networks = load_reference_networks(run, torch.device("cpu"))
    assert networks.lpips is None
    assert "IPython" in networks.lpips_missing
