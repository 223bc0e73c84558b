import numpy as np
import pytest
import torch

from roi_ray.errors import DeviceError
from roi_ray.runtime.device import Download, find_device, upload
from tests.conftest import deepen, needs_cuda


def test_find_device_accepts_cpu_and_auto_and_refuses_an_unknown_device() -> None:
    assert find_device("cpu").type == "cpu"
    assert find_device("auto").type in ("cpu", "cuda")
    with pytest.raises(DeviceError, match="device 'tpu9' is not available"):
        find_device("tpu9")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_upload_and_download_keep_the_values(photos, device) -> None:
    photo = photos["chelsea"]
    images = [photo[:50, :70], photo[50:100, :70]]
    uploaded = upload(images, find_device(device))
    assert uploaded.shape == (2, 3, 50, 70)
    assert uploaded.is_contiguous(memory_format=torch.channels_last)
    means = uploaded.double().mean((2, 3))
    assert Download(means).wait() == pytest.approx(
        np.array([image.mean((0, 1)) for image in images]), rel=1e-12
    )


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
@pytest.mark.parametrize("bit_depth", [9, 15, 16])
def test_upload_keeps_every_sample_of_more_than_8_bits(photos, bit_depth, device) -> None:
    photo = deepen(photos["chelsea"], bit_depth)
    photo[0, 0], photo[0, 1] = 0, 2**bit_depth - 1
    images = [photo[:50, :70], photo[50:100, 70:140]]
    uploaded = upload(images, find_device(device))
    assert uploaded.is_contiguous(memory_format=torch.channels_last)
    assert uploaded.permute(0, 2, 3, 1).tolist() == np.stack(images).tolist()
