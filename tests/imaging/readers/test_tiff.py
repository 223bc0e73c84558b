"""TIFF: samples of every layout equal the originals, or the file is refused by name."""

import io
import itertools
import shutil
import struct
import subprocess

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from roi_ray.errors import ImageReadError, ImageTooLarge, UnsupportedColour
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.readers.tiff import read_tiff
from tests.imaging.tiff_files import COMPRESS, write_tiff

MAX_PIXELS = 1 << 20

# Photometric interpretation, samples, ExtraSamples, and the samples that are kept.
KINDS = {
    "grey": (1, 1, None, [0]),
    "grey, 0 is white": (0, 1, None, [0]),
    "grey, alpha": (1, 2, [2], [0, 1]),
    "grey, 0 is white, alpha": (0, 2, [2], [0, 1]),
    "grey, unspecified": (1, 2, [0], [0]),
    "RGB": (2, 3, None, [0, 1, 2]),
    "RGB, alpha": (2, 4, [2], [0, 1, 2, 3]),
    "RGB, alpha of Corel Draw": (2, 4, [999], [0, 1, 2, 3]),
    "RGB, alpha not declared": (2, 4, None, [0, 1, 2, 3]),
    "RGB, unspecified": (2, 4, [0], [0, 1, 2]),
    "RGB, unspecified and alpha": (2, 5, [0, 2], [0, 1, 2, 4]),
    "CMYK": (5, 4, None, [0, 1, 2, 3]),
    "CMYK, unspecified": (5, 5, [0], [0, 1, 2, 3]),
}


def extra_samples(values):
    return {338: (3, values)} if values else {}


def photo_samples(photos, bits, count, size=(37, 53)):
    """Samples of a photograph: the lowest bits are its noise."""
    photo = photos["coffee"][100 : 100 + size[0], 200 : 200 + size[1]].astype(np.uint32)
    wide = np.dstack([photo * 65535 // 255, photo[::-1] * 65535 // 255])[..., :count]
    noise = np.random.default_rng(bits).integers(-200, 200, wide.shape)
    return (wide.astype(np.int64) + noise).clip(0, 65535).astype(np.uint16) >> (16 - bits)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8, 9, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_every_layout_are_exact(photos, kind, bits) -> None:
    photometric, count, extra, kept = KINDS[kind]
    samples, white = photo_samples(photos, bits, count), (1 << bits) - 1
    expected = samples[..., kept].astype(int)
    if photometric == 0:
        expected[..., 0] = white - expected[..., 0]
    if bits < 8:
        expected = (expected * 255 * 2 + white) // (2 * white)
    schemes, orders = (1, 5, 8, 32773, 50000), "<"
    if bits == 16:  # others have no byte order; LZMA takes most of the time
        schemes, orders = tuple(COMPRESS), "<>"
    grid = itertools.product((False, True), (None, (32, 16)), schemes, orders, (1, 2))
    for planar, tile, compression, byte_order, predictor in grid:
        if predictor == 2 and compression in (1, 32773):
            continue
        layout = {
            "planar": planar,
            "tile": tile,
            "rows": 10,
            "compression": compression,
            "byte_order": byte_order,
            "predictor": predictor,
            "big": planar != bool(tile),
        }
        raster = read_tiff(
            write_tiff(samples, bits, photometric, tags=extra_samples(extra), **layout), MAX_PIXELS
        )
        assert raster.bit_depth == max(8, bits)
        assert raster.has_alpha == (len(kept) in (2, 4) and photometric != 5)
        assert raster.samples.dtype == (np.uint8 if bits <= 8 else np.uint16)
        assert np.array_equal(raster.samples, expected), layout


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("count", [1, 3])
def test_samples_of_tiffs_by_tifffile_and_tiffcp_are_exact(photos, tmp_path, bits, count) -> None:
    samples = photo_samples(photos, bits, count)
    samples = samples.astype(np.uint8) if bits == 8 else samples
    files = []
    if bits in (8, 16):  # tifffile writes whole bytes only
        for compression, tile, order in itertools.product(
            (None, "lzw", "deflate", "packbits", "zstd", "lzma"), (None, (32, 16)), "<>"
        ):
            buffer = io.BytesIO()
            tifffile.imwrite(
                buffer,
                samples[..., 0] if count == 1 else samples,
                photometric="rgb" if count == 3 else "minisblack",
                compression=compression,
                tile=tile,
                byteorder=order,
            )
            files.append(buffer.getvalue())
    if shutil.which("tiffcp"):  # of libtiff-tools
        source, target = tmp_path / "source.tif", tmp_path / "target.tif"
        source.write_bytes(write_tiff(samples, bits, 2 if count == 3 else 1))
        for options in ("-c lzw", "-c zip", "-p separate -c zip", "-B", "-t -w 16 -l 16", "-r 3"):
            if bits > 8 and "-p" in options:
                continue  # tiffcp separates samples of 8 bits only
            subprocess.run(["tiffcp", *options.split(), source, target], check=True)
            files.append(target.read_bytes())
    for data in files:
        assert np.array_equal(read_tiff(data, MAX_PIXELS).samples, samples)


def test_reversed_bits_are_read(photos) -> None:
    for bits, compression in itertools.product((1, 4, 8, 12, 16), (1, 5, 8)):
        samples = photo_samples(photos, bits, 3)
        data = write_tiff(samples, bits, 2, compression=compression, reverse_bits=True)
        straight = write_tiff(samples, bits, 2)
        assert np.array_equal(
            read_tiff(data, MAX_PIXELS).samples, read_tiff(straight, MAX_PIXELS).samples
        )


@pytest.mark.parametrize("bits", [8, 10, 16])
@pytest.mark.parametrize("colours", [1, 3])
def test_premultiplied_alpha_composites_exactly(photos, bits, colours) -> None:
    white = (1 << bits) - 1
    alpha = photo_samples(photos, bits, 6)[..., 5:].astype(int)
    premultiplied = photo_samples(photos, bits, colours) * alpha // white
    samples = np.concatenate([premultiplied, alpha], axis=2)
    data = write_tiff(samples, bits, 2 if colours == 3 else 1, tags=extra_samples([1]))
    expected = np.broadcast_to(premultiplied + white - alpha, (*alpha.shape[:2], 3))
    assert np.array_equal(decode_image(data), expected)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("scale", [1, 256, 257])
def test_palettes_are_applied(photos, bits, planar, scale) -> None:
    indices = photo_samples(photos, bits, 2)
    palette = np.random.default_rng(1).integers(0, 256, (1 << bits, 3))
    palette[0] = 255
    tags = {320: (3, (palette.T * scale).ravel().tolist())}
    data = write_tiff(indices[..., :1], bits, 3, tags=tags, compression=5)
    assert np.array_equal(read_tiff(data, MAX_PIXELS).samples, palette[indices[..., 0]])
    tags |= extra_samples([2])
    raster = read_tiff(write_tiff(indices, bits, 3, tags=tags, planar=planar), MAX_PIXELS)
    expected = np.dstack([palette[indices[..., 0]], indices[..., 1] * 255 // ((1 << bits) - 1)])
    assert raster.has_alpha
    assert np.array_equal(raster.samples, expected)


@pytest.mark.parametrize("compression", COMPRESS)
def test_last_strip_that_is_padded_to_the_height_of_the_others_is_read(photos, compression) -> None:
    samples = photo_samples(photos, 16, 3, (40, 53))
    data = write_tiff(samples, 16, 2, rows=10, compression=compression, tags={257: (3, [37])})
    assert np.array_equal(read_tiff(data, MAX_PIXELS).samples, samples[:37])


def test_missing_optional_tags_have_their_defaults(photos) -> None:
    samples = photo_samples(photos, 16, 3)
    for tag in (266, 278, 279, 284, 317):
        data = write_tiff(samples, 16, 2, tags={tag: None})
        assert np.array_equal(read_tiff(data, MAX_PIXELS).samples, samples), tag
    once = write_tiff(samples, 16, 2, tags={258: (3, [16])})
    assert np.array_equal(read_tiff(once, MAX_PIXELS).samples, samples)
    undefined = write_tiff(samples, 16, 2, tags={339: (3, [4, 4, 4])})
    assert np.array_equal(read_tiff(undefined, MAX_PIXELS).samples, samples)
    # libtiff ignores a predictor without a compression that has one.
    ignored = write_tiff(samples, 16, 2, tags={317: (3, [2])})
    assert np.array_equal(read_tiff(ignored, MAX_PIXELS).samples, samples)


def encode_jpeg(bits, colour, lossless):
    dtype = np.uint8 if bits == 8 else np.uint16

    def encode(part):
        part = np.ascontiguousarray(part.astype(dtype))
        part = part[..., 0] if part.shape[2] == 1 else part
        spaces = {"colorspace": "RGB", "outcolorspace": colour} if colour else {}
        return imagecodecs.jpeg_encode(
            part, level=97, bitspersample=bits, lossless=lossless, **spaces
        )

    return encode


@pytest.mark.parametrize("tile", [None, (32, 48)])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(
    ("bits", "photometric", "count", "colour", "lossless", "extra"),
    [
        (8, 1, 1, None, False, None),
        (8, 0, 1, None, False, None),
        (8, 2, 3, "RGB", False, None),
        (8, 6, 3, "YCBCR", False, None),
        (8, 2, 3, "RGB", True, None),
        (8, 1, 2, None, False, [2]),
        (8, 2, 4, None, False, [2]),
        (8, 5, 4, None, False, None),
        (12, 1, 1, None, False, None),
        (12, 0, 1, None, False, None),
        (12, 2, 3, "RGB", False, None),
        (12, 6, 3, "YCBCR", False, None),
        (16, 1, 1, None, True, None),
        (16, 2, 3, "RGB", True, None),
    ],
)
def test_jpeg_in_tiff(
    photos, tile, planar, bits, photometric, count, colour, lossless, extra
) -> None:
    photo = photos["coffee"][:112, :150].astype(int)
    samples = np.dstack([photo, photo[::-1]])[..., :count] * ((1 << bits) - 1) // 255
    if count == 2 and not planar:
        pytest.skip("the encoder writes no JPEG of two components")
    data = write_tiff(
        samples,
        bits,
        photometric,
        tile=tile,
        rows=32,
        planar=planar,
        compression=7,
        encode=encode_jpeg(bits, None if planar else colour, lossless),
        tags=extra_samples(extra),
    )
    if planar and photometric == 6:
        with pytest.raises(ImageReadError, match="YCbCr"):
            read_tiff(data, MAX_PIXELS)
        return
    raster = read_tiff(data, MAX_PIXELS)
    if photometric == 0:
        samples = (1 << bits) - 1 - samples
    assert raster.bit_depth == bits
    difference = np.abs(raster.samples.astype(int) - samples)
    if lossless:
        assert difference.max() == 0
    assert difference.mean() < 0.01 * (1 << bits)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_of_8_bits_equals_pillow(photos, mode, capfd) -> None:
    buffer = io.BytesIO()
    image = Image.fromarray(photos["coffee"][:211, :307]).convert(mode)
    image.save(buffer, "TIFF", compression="jpeg", quality=80)
    data = buffer.getvalue()
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened).reshape(211, 307, -1)
    assert np.array_equal(read_tiff(data, MAX_PIXELS).samples, expected)
    with pytest.raises(ImageReadError):
        decode_image(data.replace(b"\xff\xda", b"\xff\xd8"))
    assert capfd.readouterr() == ("", "")


def test_jpeg_of_another_size_than_its_tile_is_refused(photos) -> None:
    samples = photo_samples(photos, 12, 1, (32, 32))
    bomb = encode_jpeg(12, None, False)(np.zeros((4000, 4000, 1)))
    data = write_tiff(samples, 12, 1, compression=7, encode=lambda _: bomb)
    with pytest.raises(ImageReadError, match=r"a JPEG of \[12, 4000, 4000, 1\]"):
        read_tiff(data, MAX_PIXELS)


@pytest.mark.parametrize("tile", [None, (32, 48)])
@pytest.mark.parametrize("count", [3, 4])
def test_webp_in_tiff_is_exact_and_prints_nothing(photos, capfd, tile, count) -> None:
    # Where alpha is 0, the encoder changes the colours.
    samples = np.maximum(photo_samples(photos, 8, count, (112, 150)), 1)

    def encode(part):
        return imagecodecs.webp_encode(np.ascontiguousarray(part.astype(np.uint8)), lossless=True)

    data = write_tiff(
        samples,
        8,
        2,
        tile=tile,
        rows=32,
        compression=50001,
        encode=encode,
        tags=extra_samples([2] if count == 4 else None),
    )
    assert np.array_equal(read_tiff(data, MAX_PIXELS).samples, samples)
    with pytest.raises(ImageReadError):
        decode_image(data[: len(data) * 2 // 3])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [1, 7])
def test_orientation_and_profile_are_passed_on(photos, orientation, compression) -> None:
    samples = photo_samples(photos, 8, 3)
    tags = {274: (3, [orientation]), 34675: b"a profile"}
    encode = encode_jpeg(8, "RGB", False) if compression == 7 else None
    data = write_tiff(samples, 8, 2, compression=compression, encode=encode, tags=tags)
    raster = read_tiff(data, MAX_PIXELS)
    assert raster.orientation == orientation
    assert raster.icc_profile == b"a profile"
    assert raster.samples.shape == samples.shape


def test_unreadable_orientation_and_profile_are_ignored(photos) -> None:
    samples = photo_samples(photos, 16, 3)
    odd = write_tiff(samples, 16, 2, tags={274: (5, [1, 1]), 34675: b"a profile"})
    lost = odd.replace(struct.pack("<HHL", 34675, 7, 9), struct.pack("<HHL", 34675, 7, 1 << 30))
    assert lost != odd
    for data in (odd, lost, write_tiff(samples, 16, 2, tags={274: (3, [99])})):
        assert np.array_equal(read_tiff(data, MAX_PIXELS).samples, samples)
        assert read_tiff(data, MAX_PIXELS).orientation == 1
    assert read_tiff(lost, MAX_PIXELS).icc_profile is None


def write_pages(pages, subifds=0):
    """Write pages by tifffile: (samples, NewSubfileType)."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for index, (samples, kind) in enumerate(pages):
            writer.write(
                samples, photometric="rgb", subfiletype=kind, subifds=0 if index else subifds
            )
    return buffer.getvalue()


def test_first_page_that_is_no_thumbnail_or_mask_is_read(photos) -> None:
    first, second = photo_samples(photos, 16, 3), photo_samples(photos, 16, 6)[..., 3:]
    small = first[::4, ::4]
    for pages, subifds, expected in (
        ([(first, 0), (second, 0)], 0, first),
        ([(small, 1), (first, 0)], 0, first),
        ([(small, 1), (first, 0)], 1, first),
        ([(first, 0), (small, 1)], 1, first),
        ([(small, 1)], 0, small),
    ):
        data = write_pages(pages, subifds)
        assert np.array_equal(read_tiff(data, MAX_PIXELS).samples, expected)
    mask = np.zeros((40, 40), bool)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(mask, photometric=4, subfiletype=4)
        writer.write(first, photometric="rgb")
    assert np.array_equal(read_tiff(buffer.getvalue(), MAX_PIXELS).samples, first)


REFUSED = [
    ({339: (3, [2] * 3)}, ImageReadError, "signed samples"),
    ({339: (3, [3] * 3)}, ImageReadError, "floating-point samples"),
    ({339: (3, [6] * 3)}, ImageReadError, "complex samples"),
    ({258: (3, [5, 6, 5])}, ImageReadError, r"different depths \(5, 6, 5 bits\)"),
    ({258: (3, [32] * 3)}, ImageReadError, "32 bits per sample"),
    ({258: (3, [17] * 3)}, ImageReadError, "17 bits per sample"),
    ({258: (3, [0] * 3)}, ImageReadError, "0 bits per sample"),
    ({262: (3, [8])}, UnsupportedColour, "CIELab"),
    ({262: (3, [9])}, UnsupportedColour, "ICCLab"),
    ({262: (3, [4])}, UnsupportedColour, "transparency mask"),
    ({262: (3, [32845])}, UnsupportedColour, "LogLuv"),
    ({262: (3, [6]), 259: (3, [5])}, ImageReadError, "YCbCr is supported only with JPEG"),
    ({262: (3, [3])}, ImageReadError, "does not say what the last mean"),
    ({262: None}, ImageReadError, "PhotometricInterpretation is missing"),
    ({262: (3, [77])}, ImageReadError, "PhotometricInterpretation 77"),
    ({262: (3, [5])}, ImageReadError, "3 samples per pixel, where 4"),
    ({262: (3, [32803])}, ImageReadError, "camera's raw file; develop"),
    ({262: (3, [34892])}, ImageReadError, "camera's raw file; develop"),
    ({50706: b"\1\4\0\0"}, ImageReadError, "camera's raw file; develop"),
    ({259: (3, [34712])}, ImageReadError, "by JPEG 2000 is not supported; save it with LZW"),
    ({259: (3, [50002])}, ImageReadError, "by JPEG XL is not supported; save it with LZW"),
    ({259: (3, [34887])}, ImageReadError, "by LERC is not supported; save it with LZW"),
    ({259: (3, [12345])}, ImageReadError, "by scheme 12345 is not supported; save it with LZW"),
    ({259: (3, [50001])}, ImageReadError, "WebP with 16 bits"),
    ({259: (3, [4])}, ImageReadError, "by CCITT fax is not supported; save it with LZW"),
    ({259: (3, [6])}, ImageReadError, "old style.* is not supported; save it with LZW"),
    ({317: (3, [3])}, ImageReadError, "predictor 3"),
    ({277: (3, [9])}, ImageReadError, "9 samples per pixel, where 3 to 8"),
    ({32997: (4, [7])}, ImageReadError, "volume"),
    ({256: (4, [0])}, ImageReadError, "0 x 37 pixels"),
    ({256: None}, ImageReadError, "0 x 37 pixels"),
    ({278: (4, [10])}, ImageReadError, "lists 1 strips or tiles of 4"),
    ({278: (4, [0])}, ImageReadError, "strips or tiles of 53 x 0"),
    ({278: (4, [1])}, ImageReadError, "lists 1 strips or tiles of 37"),
    ({256: (4, [1 << 11]), 257: (4, [1 << 11])}, ImageTooLarge, "--max-pixels"),
]


@pytest.mark.parametrize(("tags", "error", "text"), REFUSED)
def test_what_has_no_right_value_is_refused_by_name(photos, tags, error, text) -> None:
    data = write_tiff(photo_samples(photos, 16, 3), 16, 2, tags=tags)
    with pytest.raises(error, match=text):
        decode_image(data, MAX_PIXELS)


def test_other_inks_and_odd_premultiplied_colours_are_refused(photos) -> None:
    samples = photo_samples(photos, 8, 5)
    for count, photometric, tags, error, text in (
        (4, 5, {332: (3, [2])}, UnsupportedColour, "inks other than CMYK"),
        (5, 5, {338: (3, [1])}, ImageReadError, "premultiplied"),
        (2, 0, {338: (3, [1])}, ImageReadError, "premultiplied"),
        (2, 1, {}, ImageReadError, "ExtraSamples"),
        (1, 3, {}, ImageReadError, "0 palette values"),
    ):
        with pytest.raises(error, match=text):
            decode_image(write_tiff(samples[..., :count], 8, photometric, tags=tags), MAX_PIXELS)


def test_raw_file_with_a_thumbnail_as_its_first_page_is_refused(photos) -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        thumbnail = photos["coffee"][:60, :80]
        writer.write(thumbnail, photometric="rgb", subfiletype=1, subifds=1)
        mosaic = photo_samples(photos, 12, 1)[..., 0]
        writer.write(mosaic, photometric=32803, subfiletype=0)
    with pytest.raises(ImageReadError, match="camera's raw file; develop"):
        decode_image(buffer.getvalue())
    canon = bytearray(write_tiff(photo_samples(photos, 8, 3), 8, 2))
    entry = canon[8:]
    moved = canon[:4] + struct.pack("<L", 16) + b"CR\2\0" + bytes(4) + entry
    with pytest.raises(ImageReadError, match="camera's raw file; develop"):
        decode_image(bytes(moved))


def test_tiles_much_larger_than_the_image_are_too_large(photos) -> None:
    samples = photo_samples(photos, 8, 1)
    for tile in ((1 << 16, 1 << 16), (1 << 18, 16)):
        tags = {322: (4, [tile[1]]), 323: (4, [tile[0]]), 325: (4, [10] * 4)}
        data = write_tiff(samples, 8, 1, tile=(32, 32), tags=tags)
        with pytest.raises(ImageTooLarge, match=r"its tiles, .* that --max-pixels"):
            read_tiff(data, MAX_PIXELS)


def test_strips_that_overlap_or_lie_beyond_the_file_are_refused(photos) -> None:
    samples = photo_samples(photos, 16, 1)
    data = write_tiff(samples, 16, 1, rows=1, tags={279: (4, [3000] * 37)})
    with pytest.raises(ImageReadError, match="overlap"):
        read_tiff(data, MAX_PIXELS)
    data = write_tiff(samples, 16, 1, tags={279: (4, [6000])})
    with pytest.raises(ImageReadError, match="beyond the end"):
        read_tiff(data, MAX_PIXELS)
    data = write_tiff(samples, 16, 1, tags={279: (4, [3000])})
    with pytest.raises(ImageReadError, match="3000 of 3922 bytes"):
        read_tiff(data, MAX_PIXELS)
