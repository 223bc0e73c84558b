"""GIF and WebP, which Pillow reads: exact samples, alpha, profile, and the first frame's place."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from roi_ray.errors import ImageReadError
from roi_ray.imaging.decode import READERS, decode_image

MAX_PIXELS = 1 << 20


def save(image: Image.Image, file_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def little_endian_24(number: int) -> bytes:
    return struct.pack("<I", number)[:3]


def riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def animated_webp(frame: Image.Image, canvas: tuple[int, int], left: int, top: int) -> bytes:
    """Build a WebP animation of one frame, whose place must be even (WebP container, ANMF)."""
    width, height = (little_endian_24(side - 1) for side in canvas)
    pixels = save(frame, "WEBP", lossless=True, exact=True)[12:]
    place = (left // 2, top // 2, frame.width - 1, frame.height - 1, 100)
    body = riff_chunk(b"VP8X", bytes([0b10010, 0, 0, 0]) + width + height)
    body += riff_chunk(b"ANIM", bytes(6))
    body += riff_chunk(b"ANMF", b"".join(map(little_endian_24, place)) + b"\0" + pixels)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def test_lossless_webp_with_alpha_profile_and_exif_is_exact(photos, capfd) -> None:
    image = Image.fromarray(photos["coffee"][:64, :80]).convert("RGBA")
    image.putalpha(Image.fromarray(photos["rocket"][:64, :80, 0]))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    data = save(image, "WEBP", lossless=True, exact=True, icc_profile=profile, exif=exif)
    raster = READERS["WEBP"](data, MAX_PIXELS)
    assert np.array_equal(raster.samples, np.asarray(image)) and raster.has_alpha
    assert (raster.icc_profile, raster.orientation) == (profile, 6)
    assert capfd.readouterr() == ("", "")


def test_webp_frame_smaller_than_its_canvas_is_surrounded_by_transparency(photos) -> None:
    frame = Image.fromarray(photos["coffee"][:10, :20])
    decoded = decode_image(animated_webp(frame, (80, 64), left=6, top=4))
    assert decoded.shape == (64, 80, 3)
    assert np.array_equal(decoded[4:14, 6:26], np.asarray(frame))
    decoded[4:14, 6:26] = 255
    assert (decoded == 255).all()


@pytest.mark.parametrize("transparent", [None, 3])
def test_gif_is_exact_and_its_transparent_index_becomes_alpha(photos, transparent) -> None:
    image = Image.fromarray(photos["coffee"][:50, :60]).quantize(64)
    options = {} if transparent is None else {"transparency": transparent}
    raster = READERS["GIF"](save(image, "GIF", **options), MAX_PIXELS)
    expected = np.asarray(image.convert("RGB"))
    opaque = np.asarray(image) != transparent
    assert raster.has_alpha == (transparent is not None)
    assert np.array_equal(raster.samples[opaque][:, :3], expected[opaque])
    if transparent is not None:
        assert np.array_equal(raster.samples[..., 3], np.where(opaque, 255, 0))


@pytest.mark.parametrize("transparent", [None, 0])
@pytest.mark.parametrize("comment", [b"", b"!\xfe\3a,b\2;!\0"])
def test_gif_frame_smaller_than_its_canvas_is_surrounded_by_transparency(
    comment, transparent
) -> None:
    palette = bytes([250, 0, 0, 0, 240, 0, 0, 0, 230, 9, 9, 9])
    background = 1
    head = b"GIF89a" + struct.pack("<HHBBB", 6, 5, 0x81, background, 0) + palette + comment
    if transparent is not None:
        head += b"!\xf9\4" + struct.pack("<BHBB", 1, 0, transparent, 0)
    # Codes of 3 bits: clear (4) before each pixel of index 2, then end (5).
    codes = [4, 2] * 6 + [5]
    pixels = sum(code << 3 * place for place, code in enumerate(codes)).to_bytes(5, "little")
    frame = b"," + struct.pack("<HHHHB", 1, 2, 3, 2, 0) + b"\2" + bytes([5]) + pixels + b"\0;"
    raster = READERS["GIF"](head + frame, MAX_PIXELS)
    inside = np.zeros((5, 6), bool)
    inside[2:4, 1:4] = True
    assert np.array_equal(raster.samples[..., 3], np.where(inside, 255, 0))
    assert (raster.samples[inside, :3] == [0, 0, 230]).all()
    assert (decode_image(head + frame)[~inside] == 255).all()


@pytest.mark.parametrize("file_format", ["GIF", "WEBP"])
def test_damaged_header_has_a_plain_message(photos, file_format) -> None:
    data = save(Image.fromarray(photos["coffee"][:9, :9]), file_format)
    with pytest.raises(ImageReadError, match=f"the {file_format} header is damaged or truncated"):
        decode_image(data[:12])
