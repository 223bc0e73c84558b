"""PNM at every maximum, binary and as text, against the samples and arithmetic on them."""

import io

import numpy as np
import pytest
from PIL import Image

from roi_ray.errors import ImageReadError, ImageTooLarge
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import HighBitDepthImage
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.pnm import read_pnm

MAX_PIXELS = 1 << 20


def read(data: bytes) -> Raster:
    return read_pnm(data, MAX_PIXELS)


def draw(white: int, channels: int, height: int = 19, width: int = 21) -> np.ndarray:
    """Draw random samples that include 0 and the maximum, int (H, W, C)."""
    generator = np.random.default_rng(white)
    samples = generator.integers(0, white + 1, (height, width, channels))
    samples[0, 0], samples[0, 1] = 0, white
    return samples


def pnm(samples: np.ndarray, white: int, *, text: bool) -> bytes:
    """Encode samples (H, W, C) as PGM or PPM."""
    height, width, channels = samples.shape
    kind = (2 if text else 5) + (channels == 3)
    head = f"P{kind}\n{width} {height}\n{white}\n".encode()
    if text:
        rows = (" ".join(map(str, row)) for row in samples.reshape(height, -1))
        return head + "\n".join(rows).encode()
    return head + samples.astype(">u2" if white > 255 else "u1").tobytes()


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", range(8, 17))
def test_maximum_of_n_bits_gives_n_bits_unchanged(bits, channels, text) -> None:
    white = (1 << bits) - 1
    samples = draw(white, channels)
    raster = read(pnm(samples, white, text=text))
    assert raster.bit_depth == bits and not raster.has_alpha
    assert raster.samples.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert np.array_equal(raster.samples, samples)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("white", [1, 3, 15, 85, 100, 127, 254, 256, 1000, 4094, 65534])
def test_other_maximum_is_scaled_with_rounding(white, text) -> None:
    samples = draw(white, 3)
    raster = read(pnm(samples, white, text=text))
    bits = 8 if white < 255 else 16
    full = (1 << bits) - 1
    assert raster.bit_depth == bits
    assert np.abs(raster.samples - samples * full / white).max() <= 0.5
    assert raster.samples.max() == full and raster.samples.min() == 0


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_8_bit_files_equal_pillow(photos, mode) -> None:
    stream = io.BytesIO()
    image = Image.fromarray(photos["coffee"][:50, :61]).convert(mode)
    image.save(stream, "PPM")
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(decode_image(stream.getvalue()), expected)


def test_10_bit_file_decodes_to_its_own_depth() -> None:
    samples = draw(1023, 3)
    decoded = decode_image(pnm(samples, 1023, text=False))
    assert isinstance(decoded, HighBitDepthImage) and decoded.bit_depth == 10
    assert np.array_equal(decoded, samples)


def test_bitmap_is_black_where_its_bits_are_set() -> None:
    expected = [[255, 0, 255], [0, 255, 0]]
    assert read(b"P1 3 2\n010 # a comment\n1 0\t1\n").samples[..., 0].tolist() == expected
    assert read(b"P4 3 2\n\x40\xbf").samples[..., 0].tolist() == expected
    assert read(b"P1 3 2 010101").samples.dtype == np.uint8


def test_comments_are_skipped_but_not_within_binary_samples() -> None:
    data = b"P5 # 9\n# 8 8\r2#\n 2 # 7\n255\n#\n12"
    assert read(data).samples.reshape(-1).tolist() == list(b"#\n12")
    text = b"P2 2 2 # 9\n300 # 100\n1 2 # 3\n300 4 # 5"
    expected = [round(value * 65535 / 300) for value in (1, 2, 300, 4)]
    assert read(text).samples.reshape(-1).tolist() == expected


def test_what_follows_the_first_image_is_ignored() -> None:
    samples = draw(4095, 1)
    for text in (False, True):
        data = pnm(samples, 4095, text=text)
        assert np.array_equal(read(data + b"\n" + data.replace(b"P2", b"7")).samples, samples)


def test_text_is_parsed_across_parts(monkeypatch) -> None:
    samples = draw(4095, 3)
    monkeypatch.setattr("roi_ray.imaging.readers.pnm._TEXT_PART", 7)
    data = pnm(samples, 4095, text=True).replace(b" 1", b"      \n  1")
    data = data.replace(b"P3\n21       \n  19", b"P3\n21 19")
    assert np.array_equal(read(data).samples, samples)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"P5 2 2 0\n1234", "maximum of 0"),
        (b"P5 2 2 65536\n12345678", "maximum of 65536"),
        (b"P6 0 2 255\n", "PNM of 0 x 2"),
        (b"P6 2 -2 255\n123456789012", "header"),
        (b"P6 2 2", "header"),
        (b"P6", "header"),
        (b"P6 2 2 255\n12345678901", "too few samples"),
        (b"P5 2 2 1023\n\0\0\0\0\0\0\0", "too few samples"),
        (b"P4 9 2\n\0\0\0", "too few samples"),
        (b"P2 2 2 255\n1 2 3", "too few samples"),
        (b"P2 2 2 255\n", "too few samples"),
        (b"P1 2 2\n101", "too few samples"),
        (b"P1 2 2\n1012", "other digits"),
        (b"P2 2 2 255\n1 2 -3 4", "not decimal"),
        (b"P2 2 2 255\n1 2 3.5 4", "not decimal"),
        (b"P2 2 2 255\n1 2 3 256", "sample of 256 exceeds the maximum of 255"),
        (b"P2 2 2 255\n1 2 3 " + b"9" * 40, "exceeds the maximum"),
        (b"P5 2 2 100\n\0\0\0\x65", "sample of 101 exceeds the maximum of 100"),
        (b"P5 1 1 1000\n\x03\xe9", "sample of 1001 exceeds"),
    ],
)
def test_invalid_file_is_refused(data, message) -> None:
    with pytest.raises(ImageReadError, match=message):
        read(data)


def test_size_is_checked_before_decoding() -> None:
    with pytest.raises(ImageTooLarge, match="100000 x 100000"):
        read(b"P2 100000 100000 1023\n1 2 3")
