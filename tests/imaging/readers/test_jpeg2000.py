"""JPEG 2000 and HTJ2K: samples against `opj_decompress`, and the meaning of the boxes."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from roi_ray.errors import ImageReadError, ImageTooLarge, UnsupportedColour
from roi_ray.imaging.decode import convert_image, decode_image
from roi_ray.imaging.raster import Cicp
from roi_ray.imaging.readers.jpeg2000 import read_jpeg2000
from tests.conftest import encode
from tests.imaging.heif_files import box, run_tool
from tests.imaging.hostile import codestream
from tests.imaging.test_decode import linear_profile

MAX_PIXELS = 1 << 20
SRGB_BOX = struct.pack(">BBBL", 1, 0, 0, 16)


def scale(photo, bits: int):
    """Scale samples of 8 bits to another depth, rounded."""
    white = (1 << bits) - 1
    return ((photo.astype(np.uint32) * white + 127) // 255).astype(
        np.uint8 if bits <= 8 else np.uint16
    )


def jp2(samples, bits: int, **options) -> bytes:
    """Encode samples without loss as a JP2 file."""
    options = {"bitspersample": bits, "reversible": True, "codecformat": "jp2"} | options
    return imagecodecs.jpeg2k_encode(np.ascontiguousarray(samples), **options)


def opj_compress(folder: Path, planes, bits: int, *options: object, steps=None, signed=False):
    """Encode planes, each of a component, by `opj_compress`."""
    height, width = planes[0].shape
    kind = f"<{'i' if signed else 'u'}{1 if bits <= 8 else 2}"
    (folder / "a.rawl").write_bytes(b"".join(plane.astype(kind).tobytes() for plane in planes))
    steps = ":".join(steps or ["1x1"] * len(planes))
    layout = f"{width},{height},{len(planes)},{bits},{'s' if signed else 'u'}@{steps}"
    run_tool(
        "opj_compress", "-i", folder / "a.rawl", "-o", folder / "a.jp2", "-F", layout, *options
    )
    return (folder / "a.jp2").read_bytes()


def opj_decompress(folder: Path, data: bytes, *options: object):
    """Decode an image of grey or RGB by `opj_decompress`: (height, width, channels)."""
    (folder / "b.jp2").write_bytes(data)
    run_tool("opj_decompress", "-i", folder / "b.jp2", "-o", folder / "b.pgx", *options)
    planes = []
    for path in sorted(folder.glob("b_*.pgx")):
        header, _, samples = path.read_bytes().partition(b"\n")
        depth, width, height = header.split()[-3:]
        kind = ">u1" if int(depth) <= 8 else ">u2"
        planes.append(np.frombuffer(samples, kind).reshape(int(height), int(width)))
        path.unlink()
    return np.dstack(planes)


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(data):
        (length,) = struct.unpack_from(">L", data, position)
        end = position + length if length else len(data)
        yield data[position + 4 : position + 8], data[position + 8 : end]
        position = end


def with_boxes(data: bytes, colour: bytes = SRGB_BOX, more: bytes = b"") -> bytes:
    """Replace the colour box of a JP2 file, and add boxes to its header."""
    outer = dict(boxes(data))
    inner = [box(k, colour if k == b"colr" else c) for k, c in boxes(outer[b"jp2h"])]
    outer[b"jp2h"] = b"".join([*inner, more])
    return b"".join(box(kind, content) for kind, content in outer.items())


def channel_box(*rows: tuple[int, int, int]) -> bytes:
    return box(b"cdef", struct.pack(">H", len(rows)), *(struct.pack(">HHH", *row) for row in rows))


def palette_boxes(entries, bits: int) -> bytes:
    count, columns = entries.shape
    palette = struct.pack(">HB", count, columns) + bytes([bits - 1] * columns)
    palette += entries.astype(">u2" if bits > 8 else "u1").tobytes()
    mapping = b"".join(struct.pack(">HBB", 0, 1, column) for column in range(columns))
    return box(b"pclr", palette) + box(b"cmap", mapping)


@pytest.fixture
def photo(photos):
    """A photograph of odd size."""
    return photos["coffee"][40:141, 60:211]


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "options",
    [(), ("-r", 10), ("-r", 10, "-I"), ("-t", "64,64"), ("-d", "13,17"), ("-p", "RPCL", "-n", 3)],
    ids=lambda options: "lossless" if not options else " ".join(map(str, options)),
)
def test_samples_equal_those_of_opj_decompress(tmp_path, photo, bits, channels, options) -> None:
    samples = scale(photo, bits)[..., :channels]
    data = opj_compress(tmp_path, np.moveaxis(samples, 2, 0), bits, *options)
    raster = read_jpeg2000(data, MAX_PIXELS)
    assert raster.bit_depth == bits
    assert not raster.has_alpha
    expected = opj_decompress(tmp_path, data)
    difference = np.abs(raster.samples.astype(int) - expected)
    # The irreversible transform is computed in float32, whose sums depend on the library's version.
    assert difference.max() <= ("-I" in options)
    assert (difference > 0).mean() < 1e-3
    if "-r" not in options:
        np.testing.assert_array_equal(raster.samples, samples)


def test_white_of_10_bits_is_white() -> None:
    data = jp2(np.full((16, 16, 3), 1023, np.uint16), 10)
    image = decode_image(data)
    assert image.bit_depth == 10
    assert (image == 1023).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_fewer_than_8_bits_are_scaled_to_8(photo, bits, channels) -> None:
    samples = scale(photo, bits)[..., :channels]
    raster = read_jpeg2000(jp2(samples.squeeze(), bits), MAX_PIXELS)
    assert raster.bit_depth == 8
    np.testing.assert_array_equal(raster.samples, np.rint(samples * (255 / ((1 << bits) - 1))))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_lossless_htj2k_is_exact(photo, bits, channels, tile) -> None:
    rgba = np.dstack([photo, photo[..., 1]])
    samples = np.ascontiguousarray(scale(rgba, bits)[..., :channels])
    raster = read_jpeg2000(imagecodecs.htj2k_encode(samples.squeeze(), tile=tile), MAX_PIXELS)
    assert raster.bit_depth == bits
    assert raster.has_alpha == (channels in (2, 4))
    np.testing.assert_array_equal(raster.samples, samples)


def test_lossy_htj2k_is_close_to_its_source(photo) -> None:
    samples = scale(photo, 16)
    data = imagecodecs.htj2k_encode(samples, level=1e-4)
    error = read_jpeg2000(data, MAX_PIXELS).samples.astype(float) - samples
    assert 0 < np.sqrt((error**2).mean()) < 16
    assert np.abs(error).max() < 200  # nothing wraps from black to white


@pytest.mark.parametrize("brand", [b"jph ", b"jpx "])
@pytest.mark.parametrize("bits", [8, 12])
def test_other_brands_of_the_file_format_are_read(photo, brand, bits) -> None:
    samples = scale(photo, bits)
    data = jp2(samples, bits).replace(b"ftypjp2 ", b"ftyp" + brand)
    np.testing.assert_array_equal(read_jpeg2000(data, MAX_PIXELS).samples, samples)


@pytest.mark.parametrize("bits", [10, 16])
def test_signed_samples_are_shifted(tmp_path, photo, bits) -> None:
    samples = scale(photo[..., 1], bits)
    signed = samples.astype(int) - (1 << (bits - 1))
    data = opj_compress(tmp_path, [signed], bits, signed=True)
    np.testing.assert_array_equal(read_jpeg2000(data, MAX_PIXELS).samples[..., 0], samples)


@pytest.mark.parametrize("steps", [(2, 2), (2, 1)], ids=["4:2:0", "4:2:2"])
@pytest.mark.parametrize(("bits", "is_bare"), [(8, False), (10, False), (10, True)])
def test_subsampled_sycc_equals_opj_decompress(tmp_path, photo, steps, bits, is_bare) -> None:
    x, y = steps
    middle, white = 1 << (bits - 1), (1 << bits) - 1
    samples = scale(photo[:100, :150], bits)
    planes = [samples[..., 1], samples[::y, ::x, 2], samples[::y, ::x, 0]]
    data = opj_compress(tmp_path, planes, bits, steps=["1x1", f"{x}x{y}", f"{x}x{y}"])
    expected = opj_decompress(tmp_path, data, "-force-rgb")
    data = data[data.index(b"\xff\x4f\xff\x51") :] if is_bare else data
    actual = read_jpeg2000(data, MAX_PIXELS).samples
    np.testing.assert_array_equal(actual, expected)
    luma, blue, red = (
        np.kron(plane.astype(float), np.ones((100 // plane.shape[0], 150 // plane.shape[1])))
        for plane in planes
    )
    rgb = sycc_to_rgb(luma, blue - middle, red - middle)
    assert np.abs(actual - rgb.clip(0, white)).max() < 1.2  # the decoder rounds towards grey


def sycc_to_rgb(luma, blue, red):
    """IEC 61966-2-1, Amendment 1."""
    green = luma - 0.344136 * blue - 0.714136 * red
    return np.stack([luma + 1.402 * red, green, luma + 1.772 * blue], -1)


@pytest.mark.parametrize("bits", [8, 12])
def test_sycc_without_subsampling_is_rounded(photo, bits) -> None:
    samples = scale(photo, bits)
    data = with_boxes(jp2(samples, bits, mct=False), struct.pack(">BBBL", 1, 0, 0, 18))
    luma, blue, red = np.moveaxis(samples.astype(float), 2, 0)
    middle, white = 1 << (bits - 1), (1 << bits) - 1
    expected = sycc_to_rgb(luma, blue - middle, red - middle).clip(0, white)
    actual = read_jpeg2000(data, MAX_PIXELS).samples
    assert np.abs(actual - expected).max() <= 0.5


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize(
    ("rows", "order"),
    [
        ([], [0, 1, 2, 3]),
        ([(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 1, 0)], [0, 1, 2, 3]),
        ([(0, 0, 3), (1, 0, 2), (2, 0, 1), (3, 1, 0)], [2, 1, 0, 3]),
        ([(0, 1, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3)], [1, 2, 3, 0]),
        ([(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 65535, 65535)], [0, 1, 2]),
    ],
    ids=["none", "RGBA", "BGRA", "ARGB", "RGB and a channel without meaning"],
)
def test_channel_definitions_order_the_channels(photo, bits, rows, order) -> None:
    samples = scale(np.dstack([photo, photo[..., 1] // 2]), bits)
    more = channel_box(*rows) if rows else b""
    raster = read_jpeg2000(with_boxes(jp2(samples, bits), more=more), MAX_PIXELS)
    assert raster.has_alpha == (len(order) == 4)
    np.testing.assert_array_equal(raster.samples, samples[..., order])


@pytest.mark.parametrize("bits", [8, 12])
def test_palette_is_applied(photo, bits) -> None:
    entries = np.arange(48).reshape(16, 3) * (((1 << bits) - 1) // 47)
    indices = photo[..., 1] // 16
    data = with_boxes(jp2(indices, 8), more=palette_boxes(entries, bits))
    raster = read_jpeg2000(data, MAX_PIXELS)
    assert raster.bit_depth == bits
    np.testing.assert_array_equal(raster.samples, entries[indices])


@pytest.mark.parametrize("bits", [8, 16])
def test_profile_is_read_and_applied(bits) -> None:
    profile = linear_profile("Linear Rec709")
    white = (1 << bits) - 1
    grey = np.full((32, 32, 3), white * 128 // 255, np.uint8 if bits == 8 else np.uint16)
    data = with_boxes(jp2(grey, bits), b"\2\0\0" + profile)
    assert read_jpeg2000(data, MAX_PIXELS).icc_profile == profile
    # (1.055 (128 / 255)^(1 / 2.4) - 0.055) = 188 / 255.
    assert np.abs(decode_image(data) / white - 188 / 255).max() <= 1 / 255
    # Pillow does not read the profile, but an image that is not loaded still has its file.
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(convert_image(image), decode_image(data))


def test_cicp_is_read() -> None:
    data = jp2(np.zeros((16, 16, 3), np.uint16), 10)
    box_content = struct.pack(">BBBHHHB", 5, 0, 0, 12, 13, 0, 0x80)
    assert read_jpeg2000(with_boxes(data, box_content), MAX_PIXELS).cicp == Cicp(12, 13)
    for matrix, flags in ((9, 0x80), (0, 0)):
        box_content = struct.pack(">BBBHHHB", 5, 0, 0, 9, 1, matrix, flags)
        with pytest.raises(UnsupportedColour, match=f"CICP matrix {matrix}"):
            read_jpeg2000(with_boxes(data, box_content), MAX_PIXELS)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize(("space", "name"), [(14, "CIELab"), (20, "e-sRGB"), (21, "ROMM-RGB")])
def test_other_colourspaces_are_refused_by_name(bits, space, name) -> None:
    samples = np.zeros((16, 16, 3), np.uint8 if bits == 8 else np.uint16)
    data = with_boxes(jp2(samples, bits), struct.pack(">BBBL", 1, 0, 0, space))
    with pytest.raises(UnsupportedColour, match=name):
        read_jpeg2000(data, MAX_PIXELS)


def test_digital_cinema_is_refused() -> None:
    data = jp2(np.zeros((16, 16, 3), np.uint16), 12)
    start = data.index(b"\xff\x4f\xff\x51")
    bare = data[start : start + 6] + b"\0\3" + data[start + 8 :]
    with pytest.raises(UnsupportedColour, match="digital cinema"):
        read_jpeg2000(bare, MAX_PIXELS)


def test_premultiplied_alpha_and_cmyk_are_refused(photo) -> None:
    data = jp2(np.dstack([photo, photo[..., 1]]), 8)
    rows = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 2, 0)]
    with pytest.raises(ImageReadError, match="premultiplied alpha"):
        read_jpeg2000(with_boxes(data, more=channel_box(*rows)), MAX_PIXELS)
    cmyk = b"\2\0\0" + bytes(16) + b"CMYK" + bytes(108)
    with pytest.raises(UnsupportedColour, match="CMYK"):
        read_jpeg2000(with_boxes(data, cmyk), MAX_PIXELS)


def test_unsupported_components_are_refused_by_name(tmp_path, photo) -> None:
    samples = scale(photo[:100, :150], 10)
    planes = [samples[..., 1], samples[::2, :, 2], samples[::2, :, 0]]
    with pytest.raises(ImageReadError, match="sample steps of 1 x 1, 1 x 2, 1 x 2"):
        read_jpeg2000(opj_compress(tmp_path, planes, 10, steps=["1x1", "1x2", "1x2"]), MAX_PIXELS)
    planes = [samples[..., 0]] * 5
    with pytest.raises(ImageReadError, match="5 components"):
        read_jpeg2000(opj_compress(tmp_path, planes, 10), MAX_PIXELS)
    with pytest.raises(ImageReadError, match="20 bits"):
        read_jpeg2000(jp2(samples.astype(np.uint32), 20), MAX_PIXELS)
    data = jp2(samples, 10)
    position = data.index(b"\xff\x4f\xff\x51") + 42
    with pytest.raises(ImageReadError, match=r"different depths \(8, 10 bits\)"):
        read_jpeg2000(data[:position] + b"\7" + data[position + 1 :], MAX_PIXELS)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("bits", [8, 10])
def test_truncated_file_is_refused(photo, kept, bits) -> None:
    data = jp2(scale(photo, bits), bits)
    with pytest.raises(ImageReadError):
        decode_image(data[: int(kept * len(data))])


def test_sizes_are_checked_before_decoding() -> None:
    with pytest.raises(ImageTooLarge):
        read_jpeg2000(codestream(4096, 4096), MAX_PIXELS)
    data = jp2(np.zeros((64, 64), np.uint16), 12)
    with pytest.raises(ImageTooLarge):
        read_jpeg2000(data, 64 * 64 - 1)
    position = data.index(b"ihdr") + 4
    lie = data[:position] + struct.pack(">LL", 32, 32) + data[position + 8 :]
    with pytest.raises(ImageReadError, match="contradicts"):
        read_jpeg2000(lie, MAX_PIXELS)
    with pytest.raises(ImageReadError, match="tiles of less than 32 x 32"):
        read_jpeg2000(codestream(1024, 1024, tile=5), MAX_PIXELS)


def test_8_bits_equal_pillow(photo) -> None:
    data = encode(photo, "JPEG2000", quality_mode="rates", quality_layers=[20])
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(read_jpeg2000(data, MAX_PIXELS).samples, np.asarray(image))
