"""BMP of all layouts, against the samples, arithmetic on them, and imagecodecs."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from roi_ray.errors import ImageReadError, ImageTooLarge
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import HighBitDepthImage
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.bmp import read_bmp

MAX_PIXELS = 1 << 20
RGB555, RGB565 = (0x7C00, 0x3E0, 0x1F, 0), (0xF800, 0x7E0, 0x1F, 0)
RGB555_ALPHA, RGB444_ALPHA = (0x7C00, 0x3E0, 0x1F, 0x8000), (0xF00, 0xF0, 0xF, 0xF000)
BGRX, BGRA = (0xFF0000, 0xFF00, 0xFF, 0), (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
RGB10, RGB10_ALPHA = (0x3FF00000, 0xFFC00, 0x3FF, 0), (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)


def read(data: bytes) -> Raster:
    return read_bmp(data, MAX_PIXELS)


def bmp(
    pixels: np.ndarray,
    bits: int,
    masks: tuple[int, ...] | None = None,
    *,
    header: int = 40,
    top_down: bool = False,
    colour_space: bytes = b"BGRs",
    profile: bytes = b"",
) -> bytes:
    """Build a BMP from pixels, (H, W) of 16 or 32 bits; `masks` are r, g, b and alpha."""
    height, width = pixels.shape
    rows = pixels if top_down else pixels[::-1]
    stride = (width * bits + 31) // 32 * 4
    body = b"".join(row.astype(f"<u{bits // 8}").tobytes().ljust(stride, b"\0") for row in rows)
    compression = 0 if masks is None else 6 if header == 40 and masks[3] else 3
    info = struct.pack(
        "<IiiHHIIiiII",
        header,
        width,
        -height if top_down else height,
        *(1, bits, compression, len(body), 2835, 2835, 0, 0),
    )
    fields = b"" if masks is None else struct.pack("<4I", *masks)
    if header == 40:
        fields = fields if compression == 6 else fields[:12]
    elif header > 40:
        fields = fields.ljust(header - 40, b"\0")[: header - 40]
    if header >= 108:
        fields = fields[:16] + colour_space + fields[20:]
    offset = 14 + len(info) + len(fields)
    if header == 124 and profile:
        place = struct.pack("<II", offset - 14 + len(body), len(profile))
        fields = fields[:72] + place + fields[80:]
    size = offset + len(body) + len(profile)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, offset) + info + fields + body + profile


def draw(bits: int, height: int = 13, width: int = 17) -> np.ndarray:
    return np.random.default_rng(bits).integers(0, 1 << bits, (height, width), np.uint64)


def expected_samples(pixels: np.ndarray, masks: tuple[int, ...], depth: int) -> np.ndarray:
    """Scale each field to a bit depth, rounded; computed in float64."""
    channels = []
    for mask in filter(None, masks):
        shift = (mask & -mask).bit_length() - 1
        values = (pixels.astype(np.int64) & mask) >> shift
        channels.append(np.rint(values * ((1 << depth) - 1) / (mask >> shift)))
    return np.stack(channels, axis=-1)


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize(
    ("bits", "masks", "header", "depth"),
    [
        (16, RGB555, 40, 8),
        (16, RGB565, 40, 8),
        (16, RGB565, 52, 8),
        (16, RGB555_ALPHA, 40, 8),
        (16, RGB555_ALPHA, 56, 8),
        (16, RGB444_ALPHA, 108, 8),
        (32, BGRX, 40, 8),
        (32, BGRA, 56, 8),
        (32, BGRA, 124, 8),
        (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000), 108, 8),
        (32, (0xFF000000, 0xFF0000, 0xFF00, 0), 40, 8),
        (32, RGB10, 40, 10),
        (32, RGB10_ALPHA, 124, 10),
        (32, (0xFFE00000, 0x1FFC00, 0x3FF, 0), 40, 11),
    ],
)
def test_bit_fields_are_scaled_with_rounding(bits, masks, header, depth, top_down) -> None:
    pixels = draw(bits)
    raster = read(bmp(pixels, bits, masks, header=header, top_down=top_down))
    assert raster.bit_depth == depth and raster.has_alpha == bool(masks[3])
    assert np.array_equal(raster.samples, expected_samples(pixels, masks, depth))


def test_16_bits_without_masks_have_5_bits_per_channel() -> None:
    pixels = draw(16)
    raster = read(bmp(pixels, 16))
    assert not raster.has_alpha
    assert np.array_equal(raster.samples, expected_samples(pixels, RGB555, 8))


def test_fourth_byte_is_not_alpha_without_a_mask() -> None:
    pixels = draw(32)
    for header in (40, 108, 124):
        raster = read(bmp(pixels, 32, header=header))
        assert not raster.has_alpha
        assert np.array_equal(raster.samples, expected_samples(pixels, BGRX, 8))


def test_alpha_that_is_0_everywhere_is_ignored() -> None:
    pixels = draw(24)
    raster = read(bmp(pixels, 32, BGRA, header=56))
    assert not raster.has_alpha
    assert np.array_equal(raster.samples, expected_samples(pixels, BGRX, 8))


def test_10_bit_file_decodes_to_its_own_depth() -> None:
    pixels = draw(30)
    decoded = decode_image(bmp(pixels, 32, RGB10))
    assert isinstance(decoded, HighBitDepthImage) and decoded.bit_depth == 10
    assert np.array_equal(decoded, expected_samples(pixels, RGB10, 10))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_files_of_pillow_and_imagecodecs_are_exact(photos, mode) -> None:
    image = Image.fromarray(photos["coffee"][:50, :61])
    image = image.quantize(200) if mode == "P" else image.convert(mode)
    stream = io.BytesIO()
    image.save(stream, "BMP")
    raster = read(stream.getvalue())
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(np.broadcast_to(raster.samples, expected.shape), expected)
    if mode in ("RGB", "RGBA"):
        pixels = np.asarray(image).copy()
        pixels[..., -1] = photos["rocket"][:50, :61, 0]
        assert np.array_equal(read(imagecodecs.bmp_encode(pixels)).samples, pixels)


@pytest.mark.parametrize("bits", [4, 8])
def test_run_lengths_are_decoded(bits) -> None:
    """Two rows: a run of 4 pixels; then pixels given one by one, padded to 16 bits."""
    if bits == 8:
        body, compression = b"\4\1\0\0" + b"\0\4\2\3\4\5" + b"\0\1", 1
    else:
        body, compression = b"\4\x11\0\0" + b"\0\4\x23\x45" + b"\0\1", 2
    colours = np.random.default_rng(0).integers(0, 256, (8, 4)).astype(np.uint8)
    info = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, bits, compression, len(body), 0, 0, 8, 0)
    head = b"BM" + struct.pack("<IHHI", 54 + 32 + len(body), 0, 0, 54 + 32)
    raster = read(head + info + colours.tobytes() + body)
    indices = [[2, 3, 4, 5], [1, 1, 1, 1]]
    assert np.array_equal(raster.samples, colours[indices][..., 2::-1])


def test_header_of_os2_is_read() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    body = pixels[::-1, :, ::-1].tobytes()
    head = b"BM" + struct.pack("<IHHI", 26 + len(body), 0, 0, 26)
    data = head + struct.pack("<IHHHH", 12, 4, 4, 1, 24) + body
    assert np.array_equal(read(data).samples, pixels)


def test_only_an_embedded_profile_is_returned() -> None:
    pixels, profile = draw(32), b"a profile" * 9
    for masks in (BGRX, None):
        data = bmp(pixels, 32, masks, header=124, colour_space=b"DEBM", profile=profile)
        assert read(data).icc_profile == profile
        for colour_space in (b"KNIL", b"BGRs", b"\0\0\0\0"):
            other = bmp(pixels, 32, masks, header=124, colour_space=colour_space, profile=profile)
            raster = read(other)
            assert raster.icc_profile is None
            assert np.array_equal(raster.samples, expected_samples(pixels, BGRX, 8))
        assert read(data[:-1]).icc_profile is None


def test_embedded_profile_is_applied() -> None:
    from tests.imaging.test_decode import swapped_profile

    pixels = draw(24)
    plain = decode_image(bmp(pixels, 32))
    data = bmp(pixels, 32, header=124, colour_space=b"DEBM", profile=swapped_profile())
    assert np.abs(decode_image(data).astype(int) - plain[..., ::-1]).max() <= 1


@pytest.mark.parametrize("compression", [4, 5])
def test_wrapped_jpeg_or_png_is_refused(compression) -> None:
    data = bytearray(bmp(draw(32), 32))
    data[30] = compression
    with pytest.raises(ImageReadError, match="wraps a JPEG or a PNG"):
        read(bytes(data))


def test_invalid_file_is_refused() -> None:
    data = bmp(draw(32), 32, BGRX)
    with pytest.raises(ImageReadError, match="too few pixels"):
        read(data[:-1])
    with pytest.raises(ImageTooLarge, match="17 x 13"):
        read_bmp(data, 220)
    for red, blue in ((0xFF0000, 0), (0xF0F000, 0xFF), (0xFFFFF000, 0xFF)):
        with pytest.raises(ImageReadError, match="with the masks"):
            read(bmp(draw(32), 32, (red, 0xF00, blue, 0)))
