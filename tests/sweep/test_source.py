"""Originals as files: PNG, PPM and Y4M of 8 and more bits."""

import struct

import numpy as np
import pytest

from roi_ray.errors import ImageReadError, ImageTooLarge, UsageError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import HighBitDepthImage, bit_depth_of, to_8_bits
from roi_ray.sweep.source import BIT_DEPTHS, SourceImage
from roi_ray.sweep.y4m import read_y4m, write_y4m
from tests.conftest import deepen


@pytest.fixture(scope="module")
def crop(photos):
    return photos["chelsea"][40:101, 100:187]


@pytest.fixture(scope="module", params=[8, 10, 12, 16])
def pixels(request, crop):
    return crop if request.param == 8 else deepen(crop, request.param)


def rescale(pixels, bits):
    """Scale samples to a number of bits, rounded, by exact arithmetic."""
    white, full = (1 << bit_depth_of(pixels)) - 1, (1 << bits) - 1
    return (2 * np.asarray(pixels).astype(np.int64) * full + white) // (2 * white)


@pytest.mark.parametrize(
    ("file_format", "bits"), [(name, bits) for name in ("png", "ppm") for bits in BIT_DEPTHS[name]]
)
def test_png_and_ppm_have_the_samples_at_their_depth(file_format, bits, pixels):
    source = SourceImage(pixels)
    data = source.file(file_format, bits)
    decoded = decode_image(data)
    assert bit_depth_of(decoded) == bits
    np.testing.assert_array_equal(np.asarray(decoded), rescale(pixels, bits))
    assert source.file(file_format, bits) is data  # made once


def test_png_has_no_metadata(crop):
    data = SourceImage(crop).file("png", 16)
    kinds, position = set(), 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kinds.add(data[position + 4 : position + 8])
        position += 12 + length
    assert kinds == {b"IHDR", b"IDAT", b"IEND"}


def test_view_of_other_strides_is_written_as_it_looks(crop):
    flipped = crop[::-2, ::3]
    for file_format in ("png", "ppm"):
        np.testing.assert_array_equal(
            decode_image(SourceImage(flipped).file(file_format, 8)), flipped
        )
    np.testing.assert_array_equal(
        read_y4m(write_y4m(flipped, 16)) // 257, read_y4m(write_y4m(flipped.copy(), 16)) // 257
    )


@pytest.mark.parametrize(("file_format", "bits"), [("png", 10), ("ppm", 9), ("y4m", 14)])
def test_other_depths_are_refused(file_format, bits, crop):
    with pytest.raises(UsageError, match=f"{file_format} of {bits} bits per sample; choose from 8"):
        SourceImage(crop).file(file_format, bits)


def test_y4m_of_primaries_has_the_values_of_bt_601():
    """ITU-T H.273, MatrixCoefficients 6, full range; Rec. 601 states these luma weights."""
    colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [128, 128, 128]]
    data = write_y4m(np.array([colours], np.uint8), 8)
    header = b"YUV4MPEG2 W6 H1 F25:1 Ip A1:1 C444 XCOLORRANGE=FULL\nFRAME\n"
    assert data.startswith(header)
    planes = np.frombuffer(data[len(header) :], np.uint8).reshape(3, 6)
    assert planes.T.tolist() == [
        [76, 85, 255],
        [150, 44, 21],
        [29, 255, 107],
        [255, 128, 128],
        [0, 128, 128],
        [128, 128, 128],
    ]


# dB and levels of 8 bits. Rounding Y, Cb and Cr to 8 bits costs up to one level.
@pytest.mark.parametrize(
    ("bits", "least", "largest"), [(8, 52, 1.0), (10, 65, 0.4), (12, 77, 0.1), (16, 100, 0.005)]
)
def test_y4m_comes_back_as_precisely_as_its_bits_allow(bits, least, largest):
    noise = np.random.default_rng(1).integers(0, 1 << 16, (300, 301, 3), np.uint16)
    pixels = HighBitDepthImage(noise, 16) if bits > 8 else to_8_bits(HighBitDepthImage(noise, 16))
    decoded = read_y4m(SourceImage(pixels).file("y4m", bits))
    assert bit_depth_of(decoded) == (8 if bits == 8 else 16)
    white = (1 << bit_depth_of(decoded)) - 1
    error = (np.asarray(decoded) / white - np.asarray(pixels) / white) * 255
    assert 10 * np.log10(255**2 / np.mean(error**2)) > least
    assert np.abs(error).max() <= largest + 1e-9
    assert np.abs(error.mean((0, 1))).max() < 0.02


def test_y4m_of_limited_range_is_read_as_such():
    header = "YUV4MPEG2 W4 H1 F25:1 Ip A0:0 {} XYSCSS=444 XCOLORRANGE=LIMITED\nFRAME Ip\n"
    red = [[235, 16, 81, 126], [128, 128, 90, 128], [128, 128, 240, 128]]  # white, black, red, grey
    data = header.format("C444").encode() + np.array(red, "u1").tobytes()
    expected = np.array([[255, 255, 255], [0, 0, 0], [254, 0, 0], [128, 128, 128]])
    np.testing.assert_array_equal(read_y4m(data)[0], expected)
    deep = (np.array(red) * 4).astype("<u2")
    decoded = read_y4m(header.format("C444p10").encode() + deep.tobytes())
    assert np.abs(decoded[0] / 257 - expected).max() < 0.6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"P6 1 1", "not a Y4M file with a frame"),
        (lambda data: data[:30], "not a Y4M file with a frame"),
        (lambda data: b"", "not a Y4M"),
        (lambda data: data[:-1], "4 x 3, C444, is truncated"),
        (lambda data: data + b"FRAME\n" + bytes(36), "has more than one frame"),
        (lambda data: data.replace(b"C444 ", b"C420jpeg "), "C420jpeg, and only 4:4:4 is read"),
        (lambda data: data.replace(b"C444 ", b""), "a Y4M of C420jpeg"),
        (lambda data: data.replace(b"C444 ", b"C444alpha "), "a Y4M of C444alpha"),
        (lambda data: data.replace(b"W4", b"W0"), "no width and height"),
        (lambda data: data.replace(b"W4", b"X4"), "no width and height"),
        (lambda data: data.replace(b"W4", b"W-4"), "no width and height"),
    ],
)
def test_other_y4m_are_refused(change, message):
    data = write_y4m(np.zeros((3, 4, 3), np.uint8), 8)
    assert read_y4m(data).shape == (3, 4, 3)
    with pytest.raises(ImageReadError, match=message):
        read_y4m(change(data))


def test_large_y4m_is_refused_before_it_is_read():
    data = write_y4m(np.zeros((3, 4, 3), np.uint8), 8).replace(b"W4", b"W400000000")
    with pytest.raises(ImageTooLarge):
        read_y4m(data)
