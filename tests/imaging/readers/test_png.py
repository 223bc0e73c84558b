"""PNG of every depth and colour type, against libpng (by imagecodecs) and the samples."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from roi_ray.errors import ImageReadError, ImageTooLarge, UnsupportedColour
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import HighBitDepthImage
from roi_ray.imaging.raster import Cicp, Raster
from roi_ray.imaging.readers import png_16_bits
from roi_ray.imaging.readers.png import read_png

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
MAX_PIXELS = 1 << 20
Chunk = tuple[bytes, bytes]


def build(*chunks: Chunk) -> bytes:
    """Build a PNG file of any chunks, with a correct CRC for each."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def pack_rows(samples: np.ndarray, depth: int) -> bytes:
    """Pack samples (H, W, C) into unfiltered rows."""
    rows = samples.reshape(len(samples), -1)
    if depth == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., -depth:]
    return b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)


def interlace(samples: np.ndarray, depth: int) -> bytes:
    """Pack samples into Adam7's seven passes (PNG specification, 8.1)."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    parts = [samples[top::down, left::right] for top, left, down, right in passes]
    return b"".join(pack_rows(part, depth) for part in (*parts, samples[1::2]) if part.size)


def ihdr(samples: np.ndarray, depth: int, colour: int, interlaced: bool = False) -> Chunk:
    height, width = samples.shape[:2]
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)


def png(
    samples: np.ndarray, depth: int, colour: int, *chunks: Chunk, interlaced: bool = False
) -> bytes:
    """Encode samples (H, W, C) without filters; `chunks` stand before the pixels."""
    rows = interlace(samples, depth) if interlaced else pack_rows(samples, depth)
    pixels = (b"IDAT", zlib.compress(rows))
    return build(ihdr(samples, depth, colour, interlaced), *chunks, pixels, (b"IEND", b""))


def draw(depth: int, colour: int, height: int = 23, width: int = 29) -> np.ndarray:
    """Draw random samples of all values, uint16 (H, W, C)."""
    generator = np.random.default_rng(depth)
    shape = (height, width, CHANNELS[colour])
    return generator.integers(0, 1 << depth, shape).astype(np.uint16)


def read(data: bytes) -> Raster:
    return read_png(data, MAX_PIXELS)


def wide_photo(photos) -> np.ndarray:
    """A photograph with detail below its 8 bits, uint16 (H, W, 3)."""
    pixels = photos["coffee"][:150, :170].astype(int) * 257
    detail = np.random.default_rng(0).integers(-128, 128, pixels.shape)
    return (pixels + detail).clip(0, 65535).astype(np.uint16)


CASES = [
    *((depth, GREY) for depth in (1, 2, 4, 8, 16)),
    *((depth, colour) for colour in (RGB, GREY_ALPHA, RGB_ALPHA) for depth in (8, 16)),
]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("depth", "colour"), CASES)
def test_samples_are_exact_at_every_depth(depth, colour, interlaced) -> None:
    samples = draw(depth, colour)
    data = png(samples, depth, colour, interlaced=interlaced)
    raster = read(data)
    factor = 255 // ((1 << depth) - 1) if depth < 8 else 1
    assert raster.bit_depth == max(depth, 8)
    assert raster.samples.dtype == (np.uint16 if depth == 16 else np.uint8)
    assert np.array_equal(raster.samples, samples * factor)
    assert raster.has_alpha == (colour in (GREY_ALPHA, RGB_ALPHA))
    if not interlaced:  # imagecodecs warns about interlaced files
        decoded = imagecodecs.png_decode(data).reshape(raster.samples.shape)
        assert np.array_equal(raster.samples, decoded)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("filters", ["NONE", "SUB", "UP", "AVG", "PAETH", "ALL"])
def test_filtered_16_bit_rows_equal_libpng(photos, channels, filters) -> None:
    samples = np.ascontiguousarray(wide_photo(photos)[..., [0, 1, 2, 0][:channels]])
    row_filter = imagecodecs.PNG.FILTER[filters]
    data = imagecodecs.png_encode(samples.squeeze(), filter=row_filter)
    raster = read(data)
    assert np.array_equal(raster.samples, samples) and raster.bit_depth == 16
    assert np.array_equal(imagecodecs.png_decode(data).reshape(samples.shape), samples)


@pytest.mark.parametrize("filters", ["UP", "PAETH", "ALL"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [1, 7])
def test_16_bit_rows_are_exact_across_bands(photos, monkeypatch, channels, filters, rows) -> None:
    samples = np.ascontiguousarray(wide_photo(photos)[..., [0, 1, 2, 0][:channels]])
    monkeypatch.setattr(png_16_bits, "_BAND_PIXELS", rows * samples.shape[1])
    row_filter = imagecodecs.PNG.FILTER[filters]
    data = imagecodecs.png_encode(samples.squeeze(), filter=row_filter)
    assert np.array_equal(read(data).samples, samples)


def test_16_bit_file_decodes_to_its_own_depth(photos) -> None:
    samples = wide_photo(photos)
    decoded = decode_image(imagecodecs.png_encode(samples))
    assert isinstance(decoded, HighBitDepthImage) and decoded.bit_depth == 16
    assert np.array_equal(decoded, samples)


@pytest.mark.parametrize(("depth", "colour"), [(1, GREY), (2, GREY), (4, GREY), (8, GREY)])
def test_transparent_grey_level_is_found_below_8_bits(depth, colour) -> None:
    samples = draw(depth, colour)
    key = int(samples[3, 4, 0])
    raster = read(png(samples, depth, colour, (b"tRNS", key.to_bytes(2))))
    assert raster.has_alpha
    assert np.array_equal(raster.samples[..., 1], np.where(samples[..., 0] == key, 0, 255))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("colour", [GREY, RGB])
def test_transparent_colour_is_compared_at_all_16_bits(colour, interlaced) -> None:
    samples = draw(16, colour)
    key = samples[3, 4].copy()
    samples[0, 0], samples[0, 1] = key, key
    samples[0, 2], samples[0, 2, -1] = key, key[-1] ^ 1  # equal in the upper bits
    transparent = (b"tRNS", key.astype(">u2").tobytes())
    raster = read(png(samples, 16, colour, transparent, interlaced=interlaced))
    is_key = (samples == key).all(axis=2)
    assert is_key[0, :3].tolist() == [True, True, False]
    assert raster.has_alpha and np.array_equal(raster.samples[..., :-1], samples)
    assert np.array_equal(raster.samples[..., -1], np.where(is_key, 0, 65535))


def test_palette_is_expanded_and_required() -> None:
    samples = draw(2, PALETTE)
    colours = np.random.default_rng(0).integers(0, 256, (4, 3)).astype(np.uint8)
    palette = (b"PLTE", colours.tobytes())
    alpha = (b"tRNS", bytes([255, 0, 77]))
    assert np.array_equal(read(png(samples, 2, PALETTE, palette)).samples, colours[samples[..., 0]])
    raster = read(png(samples, 2, PALETTE, palette, alpha))
    expected = np.array([255, 0, 77, 255])[samples[..., 0]]
    assert raster.has_alpha and np.array_equal(raster.samples[..., 3], expected)
    with pytest.raises(ImageReadError, match="no palette"):
        read(png(samples, 2, PALETTE))


CICP = bytes([12, 13, 0, 1])


def test_cicp_is_read_and_precedes_other_colour_chunks() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    others = (b"sRGB", b"\0"), (b"iCCP", b"p\0\0" + zlib.compress(profile))
    for depth in (8, 16):
        samples = draw(depth, RGB)
        raster = read(png(samples, depth, RGB, *others, (b"cICP", CICP)))
        assert raster.cicp == Cicp(primaries=12, transfer=13)
        assert raster.icc_profile == profile
        assert read(png(samples, depth, RGB, *others)).cicp is None
        # A chunk after the palette or the pixels, or of another length, is invalid.
        late = (b"PLTE", bytes(6)), (b"cICP", CICP)
        assert read(png(samples, depth, RGB, *late)).cicp is None
        assert read(png(samples, depth, RGB, (b"cICP", CICP[:3]))).cicp is None
        # Mastering and light level metadata, gamma and chromaticities change nothing.
        rest = (b"mDCV", bytes(24)), (b"cLLI", bytes(8)), (b"gAMA", (100000).to_bytes(4))
        raster = read(png(samples, depth, RGB, *rest, (b"sBIT", b"\5\5\5")))
        assert raster.cicp is None and raster.icc_profile is None
        assert np.array_equal(raster.samples, samples)


@pytest.mark.parametrize("code_points", [bytes([9, 16, 9, 1]), bytes([1, 1, 0, 0])])
def test_cicp_of_a_matrix_or_narrow_range_is_refused(code_points) -> None:
    with pytest.raises(UnsupportedColour, match="matrix 0.*full|narrow range"):
        read(png(draw(8, RGB), 8, RGB, (b"cICP", code_points)))


def animation(canvas: Chunk, *chunks: Chunk) -> bytes:
    return build(canvas, (b"acTL", struct.pack(">II", 2, 0)), *chunks, (b"IEND", b""))


def control(sequence: int, width: int, height: int, left: int = 0, top: int = 0) -> Chunk:
    place = (sequence, width, height, left, top)
    return b"fcTL", struct.pack(">IIIIIHHBB", *place, 1, 10, 0, 0)


@pytest.mark.parametrize(
    ("depth", "colour"), [(8, RGB), (8, RGB_ALPHA), (16, GREY), (16, RGB), (16, RGB_ALPHA)]
)
def test_first_frame_replaces_a_default_image_outside_the_animation(depth, colour) -> None:
    default, first = draw(depth, colour), draw(depth, colour)[::-1].copy()
    small = draw(depth, colour)[:11, :7]
    height, width = default.shape[:2]
    canvas = ihdr(default, depth, colour)
    still = (b"IDAT", zlib.compress(pack_rows(default, depth)))
    compressed = zlib.compress(pack_rows(first, depth))
    frame = (
        control(0, width, height),
        (b"fdAT", (1).to_bytes(4) + compressed[:100]),
        (b"fdAT", (2).to_bytes(4) + compressed[100:]),
    )
    second = control(3, 7, 11), (b"fdAT", (4).to_bytes(4) + zlib.compress(pack_rows(small, depth)))

    raster = read(animation(canvas, still, *frame, *second))
    assert np.array_equal(raster.samples, first)
    assert np.array_equal(
        read(animation(canvas, control(0, width, height), still)).samples, default
    )
    assert np.array_equal(read(animation(canvas, still)).samples, default)

    # A first frame that is smaller than its canvas is surrounded by transparent pixels.
    smaller = control(0, 7, 11, left=5, top=2), second[1]
    raster = read(animation(canvas, still, *smaller))
    white = (1 << depth) - 1
    alpha = small[..., -1] if colour == RGB_ALPHA else white
    assert raster.has_alpha and raster.samples.shape[:2] == (height, width)
    assert (raster.samples[2:13, 5:12, -1] == alpha).all()
    colours = 3 if colour in (RGB, RGB_ALPHA) else 1
    assert np.array_equal(raster.samples[2:13, 5:12, :colours], small[..., :colours])
    raster.samples[2:13, 5:12] = 0
    assert not raster.samples.any()

    beyond = control(0, 7, 11, left=width - 6), second[1]
    with pytest.raises(ImageReadError, match="exceeds its canvas"):
        read(animation(canvas, still, *beyond))


def exif_block(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()[6:]


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("late", [False, True])
def test_exif_orientation_is_read_and_that_of_xmp_is_not(depth, late) -> None:
    samples = draw(depth, RGB)
    text = b"\nexif\n%8d\n" % 100 + (b"Exif\0\0" + exif_block(8)).hex().encode() + b"\n"
    for chunk, orientation in (
        ((b"eXIf", exif_block(3)), 3),
        ((b"tEXt", b"Raw profile type exif\0" + text), 8),
        ((b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)), 8),
        ((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP), 1),
        ((b"eXIf", b"not EXIF"), 1),
    ):
        data = png(samples, depth, RGB, *(() if late else (chunk,)))
        if late:
            data = data[:-12] + build(chunk)[8:] + data[-12:]
        raster = read(data)
        assert raster.orientation == orientation, chunk
        assert np.array_equal(raster.samples, samples)


@pytest.mark.parametrize("depth", [8, 16])
def test_damage_is_an_error(depth) -> None:
    data = png(draw(depth, RGB), depth, RGB)
    pixels = data.index(b"IDAT")
    flipped = bytearray(data)
    flipped[pixels + 300] ^= 4
    with pytest.raises(ImageReadError, match=r"CRC of b'IDAT'"):
        read(bytes(flipped))
    with pytest.raises(ImageReadError, match="truncated"):
        read(data[: pixels + 300])
    with pytest.raises(ImageReadError, match="no pixels"):
        read(data[: pixels - 4])
    with pytest.raises(ImageReadError, match="header"):
        read(data[:8] + data[33:])
    header = ihdr(np.zeros((100, 29, 3)), depth, RGB)
    rows = (b"IDAT", zlib.compress(pack_rows(draw(depth, RGB), depth)))
    apple = build((b"CgBI", bytes(4)), header, rows, (b"IEND", b""))
    with pytest.raises(ImageReadError, match="Apple"):
        read(apple)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("depth", "colour"), [(4, PALETTE), (8, GREY), (8, RGB), (16, GREY), (16, RGB)]
)
def test_missing_rows_are_an_error_and_a_uniform_last_row_is_not(depth, colour, interlaced) -> None:
    samples = draw(depth, colour)
    palette = (b"PLTE", bytes(range(48)))
    header = ihdr(samples, depth, colour, interlaced)
    rows = interlace(samples, depth) if interlaced else pack_rows(samples, depth)
    for kept in (len(rows) // 2, len(rows) - 1):
        short = (b"IDAT", zlib.compress(rows[:kept]))
        with pytest.raises((ImageReadError, OSError), match=r"too few pixels|truncated"):
            read(build(header, palette, short, (b"IEND", b"")))
    samples[-1] = 0
    black = read(png(samples, depth, colour, palette, interlaced=interlaced))
    assert black.samples.shape[:2] == samples.shape[:2]


@pytest.mark.parametrize(
    ("position", "value"), [(8, 3), (8, 2), (9, 5), (9, 3), (10, 1), (11, 1), (12, 2), (0, 128)]
)
def test_invalid_header_is_an_error_and_prints_nothing(capfd, position, value) -> None:
    samples = draw(16, RGB)
    kind, content = ihdr(samples, 16, RGB)
    header = (kind, content[:position] + bytes([value]) + content[position + 1 :])
    pixels = (b"IDAT", zlib.compress(pack_rows(samples, 16)))
    with pytest.raises(ImageReadError, match="header is invalid"):
        read(build(header, pixels, (b"IEND", b"")))
    assert capfd.readouterr() == ("", "")


def test_unknown_filter_is_an_error() -> None:
    samples = draw(16, RGB)
    rows = bytearray(pack_rows(samples, 16))
    rows[len(rows) // 23 * 3] = 5
    data = build(ihdr(samples, 16, RGB), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    with pytest.raises(ImageReadError, match="filter type 5"):
        read(data)


def test_size_is_checked_before_decoding() -> None:
    samples = draw(16, RGB)
    with pytest.raises(ImageTooLarge, match="29 x 23 is 667 pixels"):
        read_png(png(samples, 16, RGB), 666)


def test_nothing_is_printed_about_odd_chunks(capfd) -> None:
    samples = draw(16, RGB)
    odd = (b"iCCP", b"p\0\0broken"), (b"tRNS", b"\0"), (b"gAMA", bytes(9))
    assert np.array_equal(read(png(samples, 16, RGB, *odd, interlaced=True)).samples, samples)
    assert capfd.readouterr() == ("", "")


def test_icc_profile_of_a_16_bit_file_is_kept() -> None:
    stream = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(draw(16, GREY)[..., 0]).save(stream, "PNG", icc_profile=profile)
    assert read(stream.getvalue()).icc_profile == profile
