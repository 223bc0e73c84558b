"""JPEG of 12 bits, lossless JPEG and JPEG-LS; 8-bit JPEG against Pillow."""

import io
import itertools
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from roi_ray.errors import ImageReadError, ImageTooLarge, UnsupportedColour
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.readers.jpeg import read_jpeg
from tests.conftest import encode
from tests.imaging.hostile import segment
from tests.imaging.test_decode import linear_profile

MAX_PIXELS = 1 << 20


def scale(photo, bits: int):
    """Scale samples of 8 bits to another depth, rounded."""
    white = (1 << bits) - 1
    return ((photo.astype(np.uint32) * white + 127) // 255).astype(
        np.uint8 if bits <= 8 else np.uint16
    )


def jpeg12(samples, **options) -> bytes:
    return imagecodecs.jpeg8_encode(np.ascontiguousarray(samples), bitspersample=12, **options)


def insert(data: bytes, *segments: bytes) -> bytes:
    """Insert marker segments at the beginning of a file."""
    return data[:2] + b"".join(segments) + data[2:]


@pytest.fixture
def photo(photos):
    """A photograph of odd size."""
    return photos["coffee"][40:141, 60:211]


def test_lossless_colours_that_no_marker_states_are_refused(photo) -> None:
    data = imagecodecs.jpeg8_encode(np.ascontiguousarray(photo), lossless=True)
    adobe = data.index(b"\xff\xee")
    length = int.from_bytes(data[adobe + 2 : adobe + 4])
    bare = data[:adobe] + data[adobe + 2 + length :]
    assert np.array_equal(decode_image(bare), photo)  # its components are named R, G and B
    frame = bare.index(b"\xff\xc3") + 10
    numbered = bytearray(bare)
    numbered[frame : frame + 9 : 3] = b"\1\2\3"  # as FFmpeg writes YCbCr, and others RGB
    with pytest.raises(UnsupportedColour, match="does not state its colours"):
        decode_image(bytes(numbered))
    numbered[frame + 1] = 0x22
    with pytest.raises(UnsupportedColour, match="subsampled chroma"):
        decode_image(bytes(numbered))


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_is_exact(photo, bits, channels) -> None:
    samples = scale(photo, bits)[..., :channels]
    for predictor in (1, 7):
        data = imagecodecs.jpeg8_encode(
            np.ascontiguousarray(samples.squeeze()),
            lossless=True,
            bitspersample=bits,
            predictor=predictor,
        )
        raster = read_jpeg(data, MAX_PIXELS)
        assert raster.bit_depth == max(8, bits)
        expected = np.rint(samples * (255 / ((1 << bits) - 1))) if bits < 8 else samples
        np.testing.assert_array_equal(raster.samples, expected)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_jpeg_ls_is_exact(photo, bits, channels) -> None:
    samples = scale(photo, bits)[..., :channels]
    data = imagecodecs.jpegls_encode(np.ascontiguousarray(samples.squeeze()))
    raster = read_jpeg(data, MAX_PIXELS)
    assert raster.bit_depth == bits
    np.testing.assert_array_equal(raster.samples, samples)


@pytest.mark.parametrize("level", [50, 90])
def test_12_bits_equal_the_arithmetic_of_the_dct(photo, level) -> None:
    """The decoded blocks are whole steps, within rounding; they are those of the source's blocks.

    The encoder's integer arithmetic rounds a few coefficients to the neighbouring step.
    """
    samples = scale(photo[:96, :144, 1], 12)
    data = jpeg12(samples, level=level)
    start = data.index(b"\xff\xdb") + 5
    assert data[start - 1] == 0, "a table of 8-bit steps"
    steps = np.empty(64)
    steps[ZIGZAG] = list(data[start : start + 64])
    steps = steps.reshape(8, 8)
    raster = read_jpeg(data, MAX_PIXELS)
    assert raster.bit_depth == 12
    pixels = to_blocks(raster.samples[..., 0])
    inside = (pixels.min((2, 3)) > 0) & (pixels.max((2, 3)) < 4095)  # nothing is clipped
    assert inside.mean() > 0.9
    decoded, source = (to_coefficients(blocks[inside]) for blocks in (pixels, to_blocks(samples)))
    levels = np.rint(decoded / steps)
    assert np.abs(decoded - levels * steps).max() < 2.5  # samples are rounded by up to 0.5
    assert (levels != np.rint(source / steps)).mean() < 0.02


def to_blocks(samples):
    height, width = samples.shape
    return samples.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2)


def to_coefficients(blocks):
    """Transform blocks of 8 x 8 samples of 12 bits (A.3.3)."""
    return dctn(blocks.astype(float) - 2048, axes=(-2, -1), norm="ortho")


ZIGZAG = sorted(
    range(64),
    key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8),
)
"""Position in the block of each coefficient of a quantisation table (figure A.6)."""


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_12_bit_colour_is_as_close_to_its_source_as_8_bits(photo, subsampling) -> None:
    twelve = scale(photo, 12)
    errors = []
    for samples, white, bits in ((photo, 255, 8), (twelve, 4095, 12)):
        data = imagecodecs.jpeg8_encode(
            samples, level=95, subsampling=subsampling, bitspersample=bits
        )
        decoded = read_jpeg(data, MAX_PIXELS).samples
        errors.append(np.sqrt(((decoded / white - samples / white) ** 2).mean()))
    # The 12-bit tables are the same, so that their steps are 16 times as fine.
    assert errors[1] < errors[0]
    if subsampling != "444":
        assert errors[1] > 0.5 * errors[0]  # the loss of chroma remains


def test_12_bit_rgb_without_a_colour_transform_stays_rgb(photo) -> None:
    samples = scale(photo, 12)
    data = jpeg12(samples, level=100, outcolorspace="RGB")
    assert b"Adobe" in data
    difference = np.abs(read_jpeg(data, MAX_PIXELS).samples.astype(int) - samples)
    assert difference.max() <= 2


def flat_progressive_jpeg(values: list[int]) -> bytes:
    """Build a progressive 12-bit grey JPEG of a flat block per value, with a restart after each.

    The first scan has the DC coefficients, whose categories have 4-bit codes; in the second, each
    block is empty.
    """
    head = segment(0xDB, b"\0" + b"\x08" * 64)
    head += segment(0xC2, struct.pack(">BHHB", 12, 8, 8 * len(values), 1) + b"\1\x11\0")
    head += segment(0xC4, b"\0" + bytes([0, 0, 0, 15] + [0] * 12) + bytes(range(15)))
    head += segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
    head += segment(0xDD, struct.pack(">H", 1))
    dc = segment(0xDA, b"\1\1\0\0\0\0") + join_intervals(list(map(code_category, values)))
    ac = segment(0xDA, b"\1\1\0\1\x3f\0") + join_intervals(["0"] * len(values))
    return b"\xff\xd8" + head + dc + ac + b"\xff\xd9"


def code_category(value: int) -> str:
    """Code a DC difference (F.1.2.1): its category, then its bits."""
    category = abs(value).bit_length()
    extra = value if value > 0 else value + (1 << category) - 1
    return f"{category:04b}" + (f"{extra:0{category}b}" if category else "")


def join_intervals(intervals: list[str]) -> bytes:
    """Join entropy-coded intervals, padded with ones, by restart markers."""
    result = b""
    for number, bits in enumerate(intervals):
        padded = bits + "1" * (-len(bits) % 8)
        result += int(padded, 2).to_bytes(len(padded) // 8).replace(b"\xff", b"\xff\0")
        if number + 1 < len(intervals):
            result += b"\xff" + bytes([0xD0 + number % 8])
    return result


def test_12_bit_progressive_with_restarts_is_exact() -> None:
    values = [-2048, -1, 0, 1, 2, 100, 1000, 2047, -517, 3, 0]
    raster = read_jpeg(flat_progressive_jpeg(values), MAX_PIXELS)
    assert raster.bit_depth == 12
    # A DC coefficient of v steps of 8 is a flat block of v above the middle.
    expected = np.repeat(np.array(values) + 2048, 8)
    np.testing.assert_array_equal(raster.samples[..., 0], np.tile(expected, (8, 1)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_12_bits_is_applied(photo, orientation) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg12(scale(photo, 12), level=90)
    turned = decode_image(insert(data, segment(0xE1, b"Exif\0\0" + exif.tobytes()[6:])))
    plain = decode_image(data)
    tags = {2: plain[:, ::-1], 3: plain[::-1, ::-1], 4: plain[::-1], 1: plain}
    tags |= {5: plain.swapaxes(0, 1), 6: np.rot90(plain, -1)}
    tags |= {7: plain[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(plain)}
    np.testing.assert_array_equal(turned, tags[orientation])


def test_profile_in_parts_is_joined_and_applied() -> None:
    profile = linear_profile("Linear Rec709")
    parts = [profile[:300], profile[300:350], profile[350:]]
    segments = [
        segment(0xE2, b"ICC_PROFILE\0" + bytes([number + 1, len(parts)]) + part)
        for number, part in enumerate(parts)
    ]
    data = jpeg12(np.full((32, 32, 3), 2056, np.uint16), level=100)
    for order in itertools.permutations(segments):
        assert read_jpeg(insert(data, *order), MAX_PIXELS).icc_profile == profile
    # (1.055 (128 / 255)^(1 / 2.4) - 0.055) = 188 / 255.
    image = decode_image(insert(data, *segments))
    assert np.abs(image / 4095 - 188 / 255).max() <= 1 / 255
    assert read_jpeg(insert(data, *segments[:2]), MAX_PIXELS).icc_profile is None


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_truncated_file_is_refused(photo, kept) -> None:
    for data in (jpeg12(scale(photo, 12)), imagecodecs.jpegls_encode(scale(photo, 16))):
        cut = data[: int(kept * len(data))]
        with pytest.raises(ImageReadError, match="truncated"):
            read_jpeg(cut, MAX_PIXELS)
        # A thumbnail has an end marker, too.
        with pytest.raises(ImageReadError, match="truncated"):
            read_jpeg(insert(cut, segment(0xE1, encode(photo[:8, :8], "JPEG"))), MAX_PIXELS)


def test_what_is_not_supported_is_refused_by_name(photo) -> None:
    cmyk = scale(np.dstack([photo, photo[..., :1]]), 12)
    data = jpeg12(cmyk, colorspace="CMYK", outcolorspace="CMYK")
    with pytest.raises(UnsupportedColour, match="a 12-bit CMYK JPEG"):
        decode_image(data)
    data = encode(photo, "JPEG")
    position = data.index(b"\xff\xc0")
    for marker, name in ((0xC5, "hierarchical"), (0xCB, "arithmetic-coded lossless")):
        changed = data[: position + 1] + bytes([marker]) + data[position + 2 :]
        with pytest.raises(ImageReadError, match=name):
            decode_image(changed)
    changed = data[: position + 9] + b"\2" + data[position + 10 :]
    with pytest.raises(ImageReadError, match="an 8-bit 2-component JPEG"):
        decode_image(changed)
    changed = data[: position + 4] + b"\x0a" + data[position + 5 :]
    with pytest.raises(ImageReadError, match="a JPEG of 10 bits"):
        decode_image(changed)


@pytest.mark.parametrize("code", [3, 9])
def test_jpeg_ls_of_other_colours_is_refused(photo, code) -> None:
    data = imagecodecs.jpegls_encode(np.ascontiguousarray(photo))
    position = data.index(b"SPIFF\0") + 18
    assert data[position] in (2, 10)
    changed = data[:position] + bytes([code]) + data[position + 1 :]
    with pytest.raises(UnsupportedColour, match=f"SPIFF colour space {code}"):
        read_jpeg(changed, MAX_PIXELS)


@pytest.mark.parametrize("make", [jpeg12, imagecodecs.jpegls_encode, lambda x: encode(x, "JPEG")])
def test_size_is_checked_before_decoding(photo, make) -> None:
    data = make(scale(photo, 12) if make is jpeg12 else np.ascontiguousarray(photo))
    with pytest.raises(ImageTooLarge):
        read_jpeg(data, photo.shape[0] * photo.shape[1] - 1)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_8_bits_equal_pillow(photo, options) -> None:
    data = encode(photo, "JPEG", **options)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(read_jpeg(data, MAX_PIXELS).samples, np.asarray(image))


def test_first_picture_of_an_mpo_is_read(photo) -> None:
    buffer = io.BytesIO()
    second = Image.fromarray(255 - photo)
    Image.fromarray(photo).save(buffer, "MPO", save_all=True, append_images=[second])
    difference = decode_image(buffer.getvalue()).astype(int) - photo
    assert np.sqrt((difference**2).mean()) < 12
