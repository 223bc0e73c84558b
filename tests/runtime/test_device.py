import numpy as np
import pytest
import torch

from roi_ray.errors import WeightsError
from roi_ray.runtime.device import Download, find_device, upload
from tests.conftest import needs_cuda


def test_devices() -> None:
    assert find_device("cpu").type == "cpu"
    assert find_device("auto").type in ("cpu", "cuda")
    with pytest.raises(WeightsError, match="no device 'tpu9'"):
        find_device("tpu9")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_there_and_back(photos, device) -> None:
    photo = photos["chelsea"]
    images = [photo[:50, :70], photo[50:100, :70]]
    there = upload(images, find_device(device))
    assert there.shape == (2, 3, 50, 70)
    assert there.is_contiguous(memory_format=torch.channels_last)
    means = there.double().mean((2, 3))
    assert Download(means).wait() == pytest.approx(
        np.array([image.mean((0, 1)) for image in images]), rel=1e-12
    )
