"""Decoding of a request's files."""

import numpy as np
import pytest

import roi_ray
from roi_ray.imaging.pixels import HighBitDepthImage
from roi_ray.schema import Failure
from roi_ray.service.worker.decode import decode_file, estimate_bytes, make_limits, name_failure
from tests.conftest import encode, encode_16_bits

LIMITS = make_limits(1 << 16)


def test_image_and_mask_are_those_of_load_image_and_load_mask(photos) -> None:
    x = photos["chelsea"][:100, :120]
    mask = np.where(x[..., 0] > 100, 255, 0).astype(np.uint8)
    deep = encode_16_bits(x.astype(np.uint16) * 257)
    for data in (encode(x), encode(x, "JPEG"), deep):
        decoded = decode_file(data, "image", LIMITS)
        assert isinstance(decoded, HighBitDepthImage) == (data is deep)
        assert (decoded == roi_ray.load_image(data)).all()
    assert (decode_file(encode(mask), "mask", LIMITS) == mask).all()


@pytest.mark.parametrize("case", ["empty", "text", "truncated", "too large"])
def test_failure_is_that_of_load_image(case, photos) -> None:
    data = {
        "empty": b"",
        "text": b"hello",
        "truncated": encode(photos["chelsea"][:50, :50])[:1000],
        "too large": encode(photos["chelsea"]),
    }[case]
    with pytest.raises(roi_ray.ImageError) as error:
        roi_ray.load_image(data, max_pixels=LIMITS.max_pixels)
    assert decode_file(data, "image", LIMITS) == Failure.from_exception(error.value)


def test_mask_with_labels_is_refused() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[10:20] = 1
    failure = decode_file(encode(labels), "mask", LIMITS)
    assert failure.kind == "UnusableMask"
    assert name_failure(failure, "mask m.png").text == f"mask m.png: {failure.text}"


def test_bytes_are_estimated_without_a_decoder(photos) -> None:
    x = photos["chelsea"][:100, :120]
    assert estimate_bytes(encode(x, "JPEG"), 7) == x.nbytes
    assert estimate_bytes(encode_16_bits(x.astype(np.uint16)), 7) == 2 * x.nbytes
    for unknown in (encode(x, "AVIF"), encode(x, "JPEG")[:10], b"", b"hello"):
        assert estimate_bytes(unknown, 7) == 7
