import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from roi_ray import metrics
from roi_ray.imaging.decode import decode_image
from roi_ray.scoring.scorer import Scorer
from tests.conftest import Photos, encode, jpeg, to_tensor
from tests.metrics.depths import noisy_pair

MATRIX = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""R'G'B' to Y'CbCr, as the JFIF specification (version 1.02) rounds it."""
NAMES = ("mse_y", "mse_cb", "mse_cr")


def expected_errors(x, y, mask=None):
    """Compute the three errors of sRGB values in [0, 1] in float64."""
    errors = ((y - x) @ MATRIX.T) ** 2
    return (errors if mask is None else errors * mask[..., None]).mean((0, 1))


@pytest.mark.parametrize("quality", [5, 40, 95])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "rocket"])
def test_errors_equal_the_matrix_of_jfif(photos: Photos, rng, name, quality) -> None:
    x, y = photos[name], jpeg(photos[name], quality)
    mask = rng.random(x.shape[:2])
    errors = metrics.mse_ycbcr(to_tensor(x), to_tensor(y))
    assert errors.numpy() == pytest.approx(expected_errors(x / 255, y / 255), rel=1e-5)
    masked = metrics.mse_ycbcr(to_tensor(x), to_tensor(y), torch.from_numpy(mask))
    assert masked.numpy() == pytest.approx(expected_errors(x / 255, y / 255, mask), rel=1e-5)


def test_errors_equal_those_of_pillows_ycbcr_within_its_rounding(photos: Photos) -> None:
    x, y = photos["coffee"], jpeg(photos["coffee"], 10)
    a, b = (np.asarray(Image.fromarray(image).convert("YCbCr"), float) / 255 for image in (x, y))
    errors = metrics.mse_ycbcr(to_tensor(x), to_tensor(y))
    assert errors.numpy() == pytest.approx(((a - b) ** 2).mean((0, 1)), rel=0.05)


def test_subsampled_chroma_shows_in_chroma_alone(photos: Photos) -> None:
    """Luma hardly changes where the errors of chroma double."""
    x = photos["astronaut"]
    full, halved = (
        decode_image(encode(x, "JPEG", quality=95, subsampling=subsampling))
        for subsampling in (0, 2)
    )
    both = torch.stack([to_tensor(full), to_tensor(halved)])
    y, cb, cr = metrics.mse_ycbcr(to_tensor(x), both).T
    assert y[1] < 1.1 * y[0]
    assert cb[1] > 2 * cb[0]
    assert cr[1] > 2 * cr[0]


def test_scorer_measures_the_same_errors(photos: Photos) -> None:
    x = np.ascontiguousarray(photos["coffee"][:120, :150])
    y = jpeg(x, 20)
    mask = np.zeros((120, 150), np.uint8)
    mask[20:90, 50:140] = 230
    scorer = Scorer()
    (scores,) = scorer.score(scorer.prepare(x, mask), [y])
    whole = metrics.mse_ycbcr(to_tensor(x), to_tensor(y)).tolist()
    masked = metrics.mse_ycbcr(to_tensor(x), to_tensor(y), torch.from_numpy(mask)).tolist()
    assert [getattr(scores, name) for name in NAMES] == whole
    assert [getattr(scores, f"roi_{name}") for name in NAMES] == masked


@pytest.mark.parametrize(("a", "b"), [*itertools.product([8, 10, 16], [8, 12, 16])])
def test_images_of_any_depths_have_the_errors_of_their_samples(photos: Photos, rng, a, b) -> None:
    samples, images = noisy_pair(photos["chelsea"][:64, :80], (a, b), rng)
    scorer = Scorer()
    (scores,) = scorer.score(scorer.prepare(images[0]), [images[1]])
    expected = expected_errors(samples[0] / (2**a - 1), samples[1] / (2**b - 1))
    assert [getattr(scores, name) for name in NAMES] == pytest.approx(expected, rel=1e-5)
