"""HEIC: samples against `heif-convert` and the source, and what changes how they are shown."""

import contextlib
import io
import sys

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from roi_ray.errors import ImageReadError, ImageTooLarge, UnsupportedColour
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.heif import hevc
from roi_ray.imaging.heif.still import read_still
from roi_ray.imaging.raster import Cicp
from roi_ray.imaging.readers.heif import read_heif
from tests.imaging import hostile
from tests.imaging.heif_files import (
    SRGB,
    Part,
    assemble,
    avifenc,
    clap,
    exif,
    icc,
    imir,
    irot,
    ispe,
    nclx,
    run_tool,
)

MAX_PIXELS = 1 << 20
BRANDS = (b"heic", b"mif1")
MODES = {(8, 1): "L", (8, 3): "RGB", (8, 4): "RGBA"}
DEEP_MODES = {1: "I;16", 3: "RGB;16", 4: "RGBA;16"}


@pytest.fixture
def samples(photos):
    """A photograph of 90 x 70 pixels with alpha, 16 bits; encoders pad those below 64."""
    colour = photos["coffee"][:70, :90].astype(np.uint16) * 257
    alpha = np.linspace(0, 65535, colour.shape[0] * colour.shape[1]).astype(np.uint16)
    return np.dstack([colour, alpha.reshape(colour.shape[:2])])


def encode_heic(samples, bits: int, **options) -> bytes:
    """Encode samples of 16 bits by `pillow_heif`."""
    channels = samples.shape[2]
    samples = (samples >> 8).astype(np.uint8) if bits == 8 else samples
    mode = MODES[bits, channels] if bits == 8 else DEEP_MODES[channels]
    size = samples.shape[1::-1]
    file = pillow_heif.from_bytes(mode=mode, size=size, data=samples.tobytes())
    buffer = io.BytesIO()
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    try:
        file.save(buffer, **({"quality": 80, "chroma": 444} | options))
    finally:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = False
    return buffer.getvalue()


@pytest.fixture
def part(samples):
    """The HEVC data of an image of 90 x 70 pixels, whose colours are signalled by nothing."""
    item = read_still(encode_heic(samples[..., :3], 8)).primary
    kept = [box for box in item.properties if box[0] in (b"ispe", b"pixi", b"hvcC")]
    return Part(item.kind, item.data, kept)


def with_properties(part: Part, *properties) -> bytes:
    return assemble(Part(part.kind, part.data, [*part.properties, *properties]), brands=BRANDS)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("chroma", [444, 422, 420])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_samples_are_those_of_heif_convert(samples, tmp_path, bits, chroma, channels) -> None:
    data = encode_heic(samples[..., :channels], bits, chroma=chroma)
    raster = read_heif(data, MAX_PIXELS)
    assert (raster.bit_depth, raster.has_alpha) == (bits, channels == 4)
    assert raster.cicp == Cicp(1, 13)
    source, target = tmp_path / "file.heic", tmp_path / "file.png"
    source.write_bytes(data)
    run_tool("heif-convert", source, target)
    expected = imagecodecs.png_decode(target.read_bytes()).astype(int)
    if bits > 8:
        expected >>= 16 - bits  # it shifts them up
    # Where chroma is subsampled, the versions of libheif interpolate it in different ways.
    tolerance = 0 if chroma == 444 else 2 << bits - 8
    assert np.abs(raster.samples - expected).max() <= tolerance


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_lossless_samples_are_exact(samples, bits, channels) -> None:
    data = encode_heic(samples[..., :channels], bits, quality=-1, matrix_coefficients=0)
    raster = read_heif(data, MAX_PIXELS)
    assert np.array_equal(raster.samples, samples[..., :channels] >> 16 - bits)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_grey_has_one_channel(samples, bits) -> None:
    raster = read_heif(encode_heic(samples[..., :1], bits, quality=-1), MAX_PIXELS)
    assert raster.bit_depth == bits
    assert np.array_equal(raster.samples, samples[..., :1] >> 16 - bits)


def clear_full_range_flag(part: Part) -> Part:
    """Find and clear `video_full_range_flag` in an item's `hvcC`."""
    stream = dict(part.properties)[b"hvcC"]
    signal = hevc.read_video_signal(stream)
    assert signal.is_full_range
    for bit in range(8 * len(stream)):
        changed = hostile.flip_bit(stream, bit)
        limited = Part(part.kind, part.data, [ispe(90, 70), (b"hvcC", changed)])
        with contextlib.suppress(ImageReadError, ValueError):
            if hevc.read_video_signal(changed) == signal._replace(is_full_range=False):
                read_heif(with_properties(limited), MAX_PIXELS)  # other bits break the stream
                return limited
    raise AssertionError("no bit changes the range alone")


@pytest.mark.parametrize("is_in_stream", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_grey_of_limited_range_is_expanded(samples, bits, is_in_stream) -> None:
    # libheif expands the range of colours alone.
    full = samples[..., :1] >> (16 - bits)
    unit = 1 << (bits - 8)
    limited = np.rint(full * (219 * unit / ((1 << bits) - 1)) + 16 * unit).astype(np.uint16)
    data = encode_heic(limited << (16 - bits), bits, quality=-1)
    item = read_still(data).primary
    part = Part(item.kind, item.data, [ispe(90, 70), (b"hvcC", item.get(b"hvcC"))])
    properties = [nclx(1, 13, 6, full_range=False)]
    if is_in_stream:
        part, properties = clear_full_range_flag(part), []
    raster = read_heif(with_properties(part, *properties), MAX_PIXELS)
    assert np.abs(raster.samples.astype(int) - full).max() <= 1
    # nclx goes before the stream.
    raster = read_heif(with_properties(part, nclx(1, 13, 6)), MAX_PIXELS)
    assert np.array_equal(raster.samples, limited)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ([nclx(12, 13, 6)], Cicp(12, 13)),
        ([nclx(2, 2, 6)], None),
        ([icc(SRGB)], None),
        ([nclx(9, 16, 6), icc(SRGB)], None),
        ([], Cicp(1, 13)),  # of the stream
    ],
)
def test_colours_of_the_boxes(part, properties, expected) -> None:
    raster = read_heif(with_properties(part, *properties), MAX_PIXELS)
    assert raster.cicp == expected
    assert raster.icc_profile == (SRGB if icc(SRGB) in properties else None)


@pytest.mark.parametrize("bits", [8, 10])
def test_colours_of_the_stream_count_where_the_boxes_say_nothing(samples, bits) -> None:
    data = encode_heic(
        samples[..., :3],
        bits,
        color_primaries=9,
        transfer_characteristics=16,
        matrix_coefficients=9,
    )
    item = read_still(data).primary
    assert hevc.read_video_signal(item.get(b"hvcC")).cicp == Cicp(9, 16)
    kept = [box for box in item.properties if box[0] != b"colr"]
    silent = Part(item.kind, item.data, kept)
    with pytest.raises(UnsupportedColour, match="PQ"):
        decode_image(with_properties(silent))
    raster = read_heif(with_properties(silent, nclx(1, 13, 9)), MAX_PIXELS)
    assert raster.cicp == Cicp(1, 13)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("quarters", [None, 1, 2, 3])
def test_rotation_and_mirroring_are_applied_once(part, quarters, axis) -> None:
    upright = decode_image(with_properties(part))
    turns = [] if quarters is None else [irot(quarters)]
    turns += [] if axis is None else [imir(axis)]
    expected = np.rot90(upright, quarters or 0)
    expected = expected if axis is None else np.flip(expected, axis)
    assert np.array_equal(decode_image(with_properties(part, *turns)), expected)
    data = assemble(Part(part.kind, part.data, [*part.properties, *turns]), exif(6), brands=BRANDS)
    assert np.array_equal(decode_image(data), expected)


def test_clean_aperture_is_applied_or_refused(part) -> None:
    whole = decode_image(with_properties(part))
    data = with_properties(part, clap(20, 30, 3, -2), irot(1))
    assert np.array_equal(decode_image(data), np.rot90(whole[18:48, 38:58]))
    for aperture in (clap(21, 30), clap(20, 30, 40, 0), clap(0, 30), clap(92, 70)):
        with pytest.raises(ImageReadError, match="clean aperture"):
            decode_image(with_properties(part, aperture))


def test_grid_is_put_together(samples) -> None:
    photo = np.tile(samples[..., :3], (3, 3, 1))[:140, :190]
    data = encode_heic(photo, 10, quality=-1, matrix_coefficients=0, tile_size=64)
    still = read_still(data)
    assert (still.primary.kind, len(still.parts)) == (b"grid", 1 + 3 * 3)
    assert np.array_equal(read_heif(data, MAX_PIXELS).samples, photo >> 6)
    with pytest.raises(ImageTooLarge):
        read_heif(data, 140 * 189)


def test_avif_with_brands_of_heif_is_read_as_avif(samples, tmp_path) -> None:
    data = avifenc(tmp_path, samples[..., :3], "-d", 10, "-l")
    item = read_still(data).primary
    data = assemble(Part(item.kind, item.data, item.properties), brands=[b"mif1", b"miaf"])
    assert np.array_equal(
        read_heif(data, MAX_PIXELS).samples, np.rint(samples[..., :3] / 65535 * 1023)
    )


def test_premultiplied_colours_are_refused(samples, tmp_path) -> None:
    source, target = tmp_path / "source.png", tmp_path / "file.heic"
    Image.fromarray((samples >> 8).astype(np.uint8)).save(source)
    run_tool("heif-enc", "--premultiplied-alpha", source, "-o", target)
    with pytest.raises(ImageReadError, match="premultiplied"):
        decode_image(target.read_bytes())


def test_size_that_is_not_that_of_the_stream_is_refused(part) -> None:
    other = [box for box in part.properties if box[0] != b"ispe"]
    for size in ((8, 8), (640, 480), (0, 0)):
        with pytest.raises(ImageReadError):
            decode_image(assemble(Part(part.kind, part.data, [ispe(*size), *other]), brands=BRANDS))
    with pytest.raises(ImageTooLarge, match="90 x 70 is 6300 pixels"):
        read_heif(with_properties(part), 6000)


def test_sequence_without_a_still_is_refused_by_name(part) -> None:
    data = with_properties(part)
    position = data.index(b"meta")
    with pytest.raises(ImageReadError, match="a sequence of images without a still"):
        decode_image(data[:position] + b"moov" + data[position + 4 :])


def test_missing_package_is_named(part, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageReadError, match=r"need the package pillow-heif: `pip install"):
        decode_image(with_properties(part))
