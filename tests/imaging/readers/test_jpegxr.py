"""JPEG XR: samples against jxrlib's own programs, and files that contradict themselves."""

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from roi_ray.errors import ImageReadError, ImageTooLarge, UnsupportedColour
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.readers.jpegxr import read_jpegxr
from tests.imaging.heif_files import run_tool
from tests.imaging.test_decode import linear_profile

MAX_PIXELS = 1 << 20
TIFF_FORMATS = {(3, 8): 9, (3, 16): 10, (1, 8): 2, (1, 16): 3}
"""Numbers of pixel formats in `JxrEncApp` and `JxrDecApp`, by channels and bits."""


def jxr(samples, level: float = 1.0, **options) -> bytes:
    return imagecodecs.jpegxr_encode(np.ascontiguousarray(samples), level=level, **options)


def with_tag(data: bytes, tag: int, kind: int, count: int, value: int) -> bytes:
    """Replace a tag of the file's directory, or the resolution by a new tag."""
    (start,) = struct.unpack_from("<L", data, 4)
    (length,) = struct.unpack_from("<H", data, start)
    positions = {
        struct.unpack_from("<H", data, start + 2 + 12 * i)[0]: start + 2 + 12 * i
        for i in range(length)
    }
    at = positions[tag] if tag in positions else positions[0xBC82]
    return data[:at] + struct.pack("<HHLL", tag, kind, count, value) + data[at + 12 :]


@pytest.fixture
def photo(photos):
    """A photograph of odd size."""
    return photos["coffee"][40:141, 60:211]


@pytest.fixture
def rgba(photo):
    return np.dstack([photo, photo[..., 1] // 2 + 60])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossless_is_exact(rgba, bits, channels) -> None:
    samples = rgba[..., :channels] if bits == 8 else rgba[..., :channels].astype(np.uint16) * 257
    raster = read_jpegxr(jxr(samples.squeeze()), MAX_PIXELS)
    assert raster.bit_depth == bits
    assert raster.has_alpha == (channels == 4)
    np.testing.assert_array_equal(raster.samples, samples)


SUBSAMPLED = [(8, 3, ("-q", 0.6, "-d", 1)), (8, 3, ("-q", 0.6, "-d", 2))]
"""4:2:0 and 4:2:2, which jxrlib encodes at 8 bits only."""


@pytest.mark.parametrize(
    ("bits", "channels", "options"),
    [
        *SUBSAMPLED,
        *(
            (bits, n, o)
            for bits in (8, 16)
            for n in (1, 3)
            for o in ((), ("-f",), ("-q", 0.6), ("-q", 0.9))
        ),
    ],
)
def test_samples_equal_those_of_jxrdecapp(tmp_path, photo, bits, channels, options) -> None:
    samples = photo if bits == 8 else photo.astype(np.uint16) * 257
    data = jxr_enc_app(tmp_path, samples[..., :channels], bits, *options)
    decoded = tmp_path / "decoded.tif"
    number = TIFF_FORMATS[channels, bits]
    run_tool("JxrDecApp", "-i", tmp_path / "a.jxr", "-o", decoded, "-c", number)
    raster = read_jpegxr(data, MAX_PIXELS)
    assert raster.bit_depth == bits
    expected = imagecodecs.imread(decoded, codec="tiff")
    np.testing.assert_array_equal(raster.samples.squeeze(), expected)
    if "-q" not in options:
        np.testing.assert_array_equal(raster.samples, samples[..., :channels])


def jxr_enc_app(folder: Path, samples, bits: int, *options: object) -> bytes:
    """Encode grey or RGB by `JxrEncApp`."""
    samples = np.ascontiguousarray(samples)
    channels = samples.shape[2]
    source, target = folder / "a.tif", folder / "a.jxr"
    source.write_bytes(imagecodecs.tiff_encode(samples.squeeze()))
    number = TIFF_FORMATS[channels, bits]
    run_tool("JxrEncApp", "-i", source, "-o", target, "-c", number, *options)
    return target.read_bytes()


def test_bgr_and_bgra_become_rgb_and_rgba(tmp_path, rgba) -> None:
    for samples, number in ((rgba[..., :3], 0), (rgba, 22)):
        source, target = tmp_path / "a.bmp", tmp_path / "a.jxr"
        if number == 0:
            Image.fromarray(samples).save(source)
        else:
            source.write_bytes(bmp_with_alpha(samples))
        run_tool("JxrEncApp", "-i", source, "-o", target, "-c", number)
        raster = read_jpegxr(target.read_bytes(), MAX_PIXELS)
        np.testing.assert_array_equal(raster.samples, samples)


def bmp_with_alpha(samples) -> bytes:
    height, width = samples.shape[:2]
    pixels = samples[::-1, :, [2, 1, 0, 3]].tobytes()
    head = struct.pack("<LllHHLLllLL", 40, width, height, 1, 32, 0, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<LLL", 54 + len(pixels), 0, 54) + head + pixels


@pytest.mark.parametrize("transform", range(8))
def test_transform_turns_the_image(photo, transform) -> None:
    """ITU-T T.832, A.7.19: bit 2 turns by 90 degrees clockwise, then bits 0 and 1 flip."""
    expected = np.rot90(photo, -1) if transform & 4 else photo
    expected = expected[::-1] if transform & 1 else expected
    expected = expected[:, ::-1] if transform & 2 else expected
    actual = decode_image(with_tag(jxr(photo), 0xBC02, 4, 1, transform))
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("transform", range(1, 4))
def test_flips_equal_those_of_jxrdecapp(tmp_path, photo, transform) -> None:
    data = jxr_enc_app(tmp_path, photo, 8)
    target = tmp_path / "decoded.bmp"
    run_tool("JxrDecApp", "-i", tmp_path / "a.jxr", "-o", target, "-c", 0, "-O", transform)
    actual = decode_image(with_tag(data, 0xBC02, 4, 1, transform))
    with Image.open(target) as image:
        np.testing.assert_array_equal(actual, np.asarray(image))


@pytest.mark.parametrize("bits", [8, 16])
def test_profile_is_read_and_applied(bits) -> None:
    profile = linear_profile("Linear Rec709")
    white = (1 << bits) - 1
    data = jxr(np.full((32, 32, 3), white * 128 // 255, np.uint8 if bits == 8 else np.uint16))
    data = with_tag(data, 0x8773, 7, len(profile), len(data)) + profile
    assert read_jpegxr(data, MAX_PIXELS).icc_profile == profile
    # (1.055 (128 / 255)^(1 / 2.4) - 0.055) = 188 / 255.
    assert np.abs(decode_image(data) / white - 188 / 255).max() <= 1 / 255


@pytest.mark.parametrize(
    ("shape", "kind", "options", "message"),
    [
        ((16, 16, 4), np.uint8, {"photometric": "CMYK"}, "CMYK"),
        ((16, 16, 4), np.uint16, {"photometric": "CMYK"}, "CMYK"),
        ((16, 16, 3), np.float32, {}, "floating-point"),
        ((16, 16), np.float32, {}, "floating-point"),
        ((16, 16, 3), np.float16, {}, "half-precision"),
        ((16, 16), np.bool_, {}, "1 bit per pixel"),
    ],
)
def test_other_pixel_formats_are_refused_by_name(shape, kind, options, message) -> None:
    data = jxr(np.zeros(shape, kind), **options)
    with pytest.raises(UnsupportedColour if message == "CMYK" else ImageReadError, match=message):
        read_jpegxr(data, MAX_PIXELS)


@pytest.mark.parametrize("code", [0x10, 0x17, 0x13, 0x3D, 0x0A, 0x77])
def test_pixel_format_that_cannot_be_encoded_here_is_refused(code) -> None:
    data = jxr(np.zeros((16, 16, 3), np.uint8))
    position = data.index(b"\x8d\xc9\x0d") if b"\x8d\xc9\x0d" in data else data.index(b"\xc9\x0d")
    with pytest.raises(ImageReadError, match="not supported"):
        read_jpegxr(data[: position + 1] + bytes([code]) + data[position + 2 :], MAX_PIXELS)


@pytest.mark.parametrize("kept", [0.02, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("channels", [3, 4])
def test_truncated_file_is_refused(rgba, kept, channels) -> None:
    data = jxr(rgba[..., :channels], 0.8)
    with pytest.raises(ImageReadError):
        decode_image(data[: int(kept * len(data))])


def test_files_that_contradict_themselves_are_refused(photo) -> None:
    data = jxr(photo)
    for tag, value in ((0xBC80, 149), (0xBC81, 4)):
        with pytest.raises(ImageReadError, match="contradicts"):
            read_jpegxr(with_tag(data, tag, 4, 1, value), MAX_PIXELS)
    with pytest.raises(ImageTooLarge):
        read_jpegxr(with_tag(data, 0xBC80, 4, 1, 1 << 30), MAX_PIXELS)
    image = data.index(b"WMPHOTO\0")
    # The coded image's colour format, bit depth and internal colour format.
    for position, byte in ((11, 0x71 ^ 0x30), (11, 0x72), (16, 0xA0)):
        changed = data[: image + position] + bytes([byte]) + data[image + position + 1 :]
        with pytest.raises(ImageReadError, match="contradicts"):
            read_jpegxr(changed, MAX_PIXELS)
    grey = jxr(photo[..., 0])
    identifier = data[data.index(b"\x24\xc3\xdd\x6f") :][:16]
    position = grey.index(b"\x24\xc3\xdd\x6f")
    with pytest.raises(ImageReadError, match="contradicts"):
        read_jpegxr(grey[:position] + identifier + grey[position + 16 :], MAX_PIXELS)
