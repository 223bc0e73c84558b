import numpy as np
import pytest
import torch

from roi_ray.metrics.recursion import gaussian_taps
from roi_ray.metrics.recursive_gaussian import RecursiveGaussianView, blur
from tests.conftest import Photos, needs_cuda
from tests.metrics import literal_ssimulacra2 as literal

SIZES = [(64, 96), (33, 41), (17, 9), (5, 30), (8, 8), (4, 4), (6, 13), (16, 15), (1, 20)]


def planes(photos: Photos, height: int, width: int) -> torch.Tensor:
    pixels = photos["chelsea"][60 : 60 + height, 100 : 100 + width]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def test_taps_have_the_moments_of_the_gaussian() -> None:
    taps, position = gaussian_taps(), torch.arange(-4, 5, dtype=torch.float64)
    assert taps.sum().item() == pytest.approx(1, abs=1e-12)
    assert (taps * position**2).sum().item() == pytest.approx(1.5**2, abs=1e-12)
    gaussian = torch.exp(-(position**2) / 4.5)
    assert (taps - gaussian / gaussian.sum()).abs().max() < 2e-3
    assert taps.tolist() == pytest.approx(literal.TAPS, abs=1e-7)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_recursion_equals_the_taps(photos: Photos, path, height, width) -> None:
    images = planes(photos, height, width)
    expected = [literal.blur(plane) for plane in images[0].double().numpy()]
    assert np.abs(blur(images)[0].numpy() - np.stack(expected)).max() < 2e-6


def recur(line: list[np.float32], unrolled: bool) -> list[np.float32]:
    """Filter one line, number by number, as the reference tool does; fused operations by float64.

    The tool filters columns by the recursion as it stands, and rows four pixels at a time where the
    window is inside the image.
    """

    def fma(a, b, c):
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))

    exact = gaussian_taps().numpy()
    frequencies = np.array([1, 3, 5]) * np.pi / 10
    cosines = np.cos(frequencies[:, None] * np.arange(-4, 5))
    amplitudes = np.linalg.lstsq(cosines.T, exact, rcond=None)[0]
    gain = -amplitudes * np.cos(6 * frequencies)
    d = -2 * np.cos(frequencies)

    def total_input(n: int) -> np.float32:
        left = line[n - 6] if n >= 6 else np.float32(0)
        right = line[n + 4] if n + 4 < len(line) else np.float32(0)
        return np.float32(left + right)

    waves: list[list[np.float32]] = []
    for k in range(3):
        response = [1, -d[k], d[k] ** 2 - 1, 2 * d[k] - d[k] ** 3, d[k] ** 4 - 3 * d[k] ** 2 + 1]
        outputs = [np.float32(0), np.float32(0)]
        while (n := len(outputs) - 6) < len(line):
            earlier, previous = outputs[-2:]
            if unrolled and 8 <= n < len(line) - 7:
                for lane in range(4):
                    value = np.float32(total_input(n) * np.float32(gain[k] * response[lane]))
                    for i in range(1, lane + 1):
                        factor = np.float32(gain[k] * response[lane - i])
                        value = fma(factor, total_input(n + i), value)
                    value = fma(np.float32(-response[lane]), earlier, value)
                    outputs.append(fma(np.float32(response[lane + 1]), previous, value))
            elif unrolled:
                value = np.float32(total_input(n) * np.float32(gain[k]))
                outputs.append(fma(np.float32(-d[k]), previous, np.float32(value - earlier)))
            else:
                value = np.float32(-fma(np.float32(d[k]), previous, earlier))
                outputs.append(fma(np.float32(gain[k]), total_input(n), value))
        waves.append(outputs[6:])
    return [np.float32(a + np.float32(b + c)) for a, b, c in zip(*waves, strict=True)]


@pytest.mark.parametrize(("height", "width"), [(25, 37), (8, 8), (12, 19), (30, 16)])
def test_every_rounding_is_that_of_the_reference_tool(photos: Photos, path, height, width) -> None:
    image = planes(photos, height, width)[:, :1]
    rows = [recur(list(row), unrolled=True) for row in image[0, 0].numpy()]
    columns = [recur(list(column), unrolled=False) for column in zip(*rows, strict=True)]
    assert np.array_equal(blur(image)[0, 0].numpy(), np.array(columns, dtype=np.float32).T)


def test_a_plane_is_filtered_alike_alone_and_in_a_batch(photos: Photos, path) -> None:
    images = planes(photos, 60, 70)
    together = blur(torch.cat([images, images.flip(3), images.flip(2)]))
    for batch in range(3):
        single = torch.cat([images, images.flip(3), images.flip(2)])[batch, 1]
        assert torch.equal(together[batch, 1], blur(single[None, None])[0, 0])


@pytest.mark.parametrize(("height", "width"), [(40, 50), (20, 25), (5, 7)])
def test_view_of_a_mask_of_ones_is_ones(height, width) -> None:
    weights = RecursiveGaussianView().resize(torch.ones(1, 40, 50), height, width)
    assert torch.equal(weights.float(), torch.ones(1, height, width))


def test_view_spreads_a_mask_as_the_window_does() -> None:
    mask = torch.zeros(1, 20, 30)
    mask[:, 18:] = 1
    weights = RecursiveGaussianView().resize(mask, 20, 30)[0].numpy()
    assert weights == pytest.approx(literal.window_weights(mask[0].double().numpy()), abs=1e-7)
    # Rows within four of the mask see it; the last row sees mostly the mask.
    assert (weights[:14] == 0).all()
    assert (weights[14:] > 0).all()
    assert weights[19].min() > 0.7


@needs_cuda
def test_gpu_rounds_as_the_cpu(photos: Photos) -> None:
    images = planes(photos, 100, 120)
    assert torch.equal(blur(images.cuda()).cpu(), blur(images))
