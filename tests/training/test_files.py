import numpy as np

from roi_ray.training.files import read_image, read_image_tensor
from tests.conftest import deepen, encode_16_bits, write


def test_image_of_16_bits_is_rounded_to_8(tmp_path, photos) -> None:
    deep = deepen(photos["chelsea"][:30, :40], 16)
    uri = write(tmp_path / "deep.png", encode_16_bits(deep))
    expected = np.round(deep / 257).astype(np.uint8)
    image = read_image(uri)
    assert type(image) is np.ndarray
    assert image.dtype == np.uint8
    assert np.array_equal(image, expected)
    assert np.array_equal(read_image_tensor(uri).permute(1, 2, 0), expected)
