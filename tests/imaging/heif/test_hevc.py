"""Colours in HEVC parameter sets, as x265 writes them and built bit by bit."""

import io

import numpy as np
import pillow_heif
import pytest

from roi_ray.errors import ImageReadError
from roi_ray.imaging.heif.hevc import VideoSignal, read_video_signal
from roi_ray.imaging.heif.still import read_still
from roi_ray.imaging.raster import Cicp


@pytest.mark.parametrize(
    ("chroma", "mode", "cicp"),
    [
        (420, "RGB", Cicp(1, 13)),
        (422, "RGB", Cicp(9, 16)),
        (444, "RGB", Cicp(12, 13)),
        (420, "RGB;16", Cicp(9, 18)),
        (422, "RGB;16", Cicp(12, 13)),
        (444, "RGB;16", Cicp(1, 13)),
    ],
)
def test_colours_that_x265_writes(photos, chroma, mode, cicp) -> None:
    photo = np.ascontiguousarray(photos["coffee"][:64, :80])
    photo = photo if mode == "RGB" else photo.astype(np.uint16) * 257
    buffer = io.BytesIO()
    pillow_heif.from_bytes(mode=mode, size=(80, 64), data=photo.tobytes()).save(
        buffer,
        chroma=chroma,
        color_primaries=cicp.primaries,
        transfer_characteristics=cicp.transfer,
    )
    assert read_video_signal(read_still(buffer.getvalue()).primary.get(b"hvcC")).cicp == cicp


def code(value: int) -> str:
    """Write an unsigned exponential-Golomb code."""
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def configuration(bits: str) -> bytes:
    """Build an `hvcC` property around the bits of a sequence parameter set."""
    bits += "1" + "0" * (-len(bits) - 1 & 7)
    payload = int(bits, 2).to_bytes(len(bits) // 8)
    coded, zeros = bytearray(), 0
    for byte in payload:  # emulation prevention
        if zeros >= 2 and byte <= 3:
            coded.append(3)
            zeros = 0
        coded.append(byte)
        zeros = 0 if byte else zeros + 1
    unit = b"\x42\1" + bytes(coded)
    other = b"\x20\0\1\0\1\x40"  # an array with another unit
    return bytes(22) + b"\2" + other + b"\x21\0\1" + len(unit).to_bytes(2) + unit


def sequence_parameters(
    sub_layers: int = 0, scaling: bool = False, pcm: bool = False, sets: bool = False
) -> str:
    bits = "0000" + f"{sub_layers:03b}" + "1" + "0" * 96
    if sub_layers:
        bits += "11" + "01" * (sub_layers - 1) + "00" * (8 - sub_layers)
        bits += "1" * 96 + "1" * 8 * (sub_layers - 1)
    bits += code(0) + code(3) + "0" + code(4000) + code(3000)
    bits += "1" + code(0) * 3 + code(2) + code(2) * 2 + code(4)
    bits += "1" + (code(4) + code(0) + code(0)) * (sub_layers + 1)
    bits += code(0) + code(3) + code(0) + code(3) + code(1) + code(1)
    bits += "11" if scaling else "0"
    if scaling:
        for size, count in ((0, 16), (1, 64), (2, 64), (3, 64)):
            for i in range(2 if size == 3 else 6):
                bits += "0" + code(i) if i % 2 else "1" + code(9) * (count + (size > 1))
    bits += "11"
    bits += "1" + "00000000" + code(0) + code(1) + "0" if pcm else "0"
    if sets:
        # One negative and two positive pictures; then one predicted from it, of 4 flags.
        bits += code(2) + code(1) + code(2) + (code(0) + "1") * 3
        bits += "1" + "0" + code(0) + "1" + "01" + "00" + "1"
        bits += "1" + code(2) + ("0" * 8 + "1") * 2
    else:
        bits += code(0) + "0"
    return bits + "11"


USABILITY = "1" + "1" + f"{255:08b}" + "0" * 32 + "11" + "1" + "1011"


@pytest.mark.parametrize(
    "options", [{}, {"sub_layers": 2}, {"scaling": True}, {"pcm": True}, {"sets": True}]
)
def test_colours_follow_every_optional_part(options) -> None:
    start = sequence_parameters(**options)
    colours = USABILITY + "1" + f"{9:08b}{16:08b}{9:08b}"
    assert read_video_signal(configuration(start + colours)) == (Cicp(9, 16), True)
    assert read_video_signal(configuration(start + USABILITY + "0")) == (None, True)
    limited = USABILITY.removesuffix("1") + "0"
    assert read_video_signal(configuration(start + limited + "0")) == (None, False)
    assert read_video_signal(configuration(start + "1" + "000")) == VideoSignal()
    assert read_video_signal(configuration(start + "0")) == VideoSignal()


def test_truncated_parameters_are_an_error() -> None:
    whole = configuration(sequence_parameters() + USABILITY + "1" + "0" * 24)
    for length in (10, 24, 30, len(whole) - 8):
        with pytest.raises(ImageReadError):
            read_video_signal(whole[:length])
    assert read_video_signal(bytes(23)) == VideoSignal()
