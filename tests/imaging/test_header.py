"""The size of an image, from the beginning of its file."""

import io

import numpy as np
import pytest
from PIL import Image

from roi_ray.errors import ImageReadError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.header import ImageHeader, read_image_header
from tests.conftest import deepen, encode, encode_16_bits

BEGINNING = 32 << 10


@pytest.mark.parametrize(
    "file_format", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF", "JPEG2000"]
)
def test_size_is_read_from_the_beginning_of_the_file(photos, file_format) -> None:
    data = encode(photos["coffee"], file_format)
    header = read_image_header(data[:BEGINNING])
    assert (header.height, header.width) == photos["coffee"].shape[:2]
    assert header.pixels == header.height * header.width
    assert header.bit_depth >= 8


@pytest.mark.parametrize(
    ("file_format", "options"),
    [("AVIF", {}), ("WEBP", {"lossless": True}), ("WEBP", {"icc_profile": b"profile"})],
)
def test_other_layouts(photos, file_format, options) -> None:
    header = read_image_header(encode(photos["coffee"], file_format, **options))
    assert (header.height, header.width) == photos["coffee"].shape[:2]


def test_png_of_16_bits_and_jpeg_xl(photos) -> None:
    import imagecodecs

    photo = photos["coffee"]
    height, width = photo.shape[:2]
    deep = encode_16_bits(deepen(photo, 16))
    assert read_image_header(deep[:BEGINNING]) == ImageHeader(height, width, 16, "PNG")
    data = imagecodecs.jpegxl_encode(photo, distance=1.0)
    assert read_image_header(data[:BEGINNING])[:2] == (height, width)


def test_tiff_with_its_header_at_the_end_needs_the_whole_file(photos) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photos["coffee"]).save(buffer, "TIFF", compression="tiff_lzw")
    data = buffer.getvalue()
    assert read_image_header(data)[:2] == decode_image(data).shape[:2]
    with pytest.raises(ImageReadError, match="the header cannot be read"):
        read_image_header(data[:1000])


@pytest.mark.parametrize("data", [b"", b"<html>404</html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_other_files_have_no_size(data) -> None:
    with pytest.raises(ImageReadError):
        read_image_header(data)


def test_size_is_that_of_the_decoded_image(rng) -> None:
    pixels = rng.integers(0, 256, (17, 23, 3), dtype=np.uint8)
    assert read_image_header(encode(pixels))[:2] == (17, 23)
