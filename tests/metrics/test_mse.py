import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from roi_ray.metrics.mse import PSNR_CAP, psnr_from_mse, squared_error_map
from tests.conftest import Photos, jpeg


def tensor(pixels):
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


@pytest.mark.parametrize("quality", [5, 40, 95])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "rocket"])
def test_equals_scikit_image(photos: Photos, name: str, quality: int) -> None:
    x, y = photos[name], jpeg(photos[name], quality)
    mse = squared_error_map(tensor(x)[None], tensor(y)[None]).double().mean()
    assert float(mse) == pytest.approx(mean_squared_error(x / 255, y / 255), abs=1e-6, rel=1e-6)
    assert float(psnr_from_mse(mse)) == pytest.approx(peak_signal_noise_ratio(x, y), abs=1e-6)


def test_identical_images_get_the_cap(photos: Photos) -> None:
    x = tensor(photos["coffee"])
    mse = squared_error_map(x[None], x[None]).mean()
    assert float(mse) == 0
    assert float(psnr_from_mse(mse)) == PSNR_CAP == 100


def test_one_level_in_one_channel_of_one_pixel() -> None:
    x = np.zeros((20, 30, 3), np.uint8)
    y = x.copy()
    y[3, 4, 1] = 1
    level = squared_error_map(tensor(x), tensor(y)[None])
    assert level.shape == (1, 20, 30)
    assert float(level[0, 3, 4]) == pytest.approx(1 / 255**2 / 3, rel=1e-6)
    assert float(level.sum()) == float(level[0, 3, 4])
