"""AVIF: samples against `avifdec` and Pillow, and every property that changes what is shown."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from roi_ray.errors import ImageReadError, ImageTooLarge, UnsupportedColour
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.heif.still import read_still
from roi_ray.imaging.raster import Cicp
from roi_ray.imaging.readers.avif import read_avif
from tests.conftest import encode
from tests.imaging.heif_files import (
    SRGB,
    Part,
    assemble,
    avifdec,
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


@pytest.fixture
def samples(photos):
    """A photograph of odd size with alpha, 16 bits."""
    colour = photos["coffee"][:61, :47].astype(np.uint16) * 257
    alpha = np.linspace(0, 65535, colour.shape[0] * colour.shape[1]).astype(np.uint16)
    return np.dstack([colour, alpha.reshape(colour.shape[:2])])


@pytest.fixture
def part(samples):
    """The AV1 data of an image of 47 x 61 pixels and 10 bits, without colours."""
    return make_part(samples[..., :3] >> 6, 10)


def make_part(samples, bits: int, *properties, **options) -> Part:
    """Encode samples; the item has its own AV1 configuration and size, and other properties."""
    options = {"level": 80, "pixelformat": "yuv444", "primaries": 2, "transfer": 2} | options
    data = imagecodecs.avif_encode(samples, speed=10, bitspersample=bits, **options)
    item = read_still(data).primary
    kept = [box for box in item.properties if box[0] in (b"ispe", b"pixi", b"av1C")]
    return Part(item.kind, item.data, [*kept, *properties])


def with_properties(part: Part, *properties) -> bytes:
    return assemble(Part(part.kind, part.data, [*part.properties, *properties]))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("value_range", ["full", "limited"])
@pytest.mark.parametrize("subsampling", ["444", "422", "420", "400"])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_samples_are_those_of_avifdec(
    samples, tmp_path, bits, subsampling, value_range, channels
) -> None:
    options = ["-d", bits, "-y", subsampling, "-r", value_range, "--min", 12, "--max", 12]
    data = avifenc(tmp_path, samples[..., :channels], *options)
    raster = read_avif(data, MAX_PIXELS)
    assert raster.bit_depth == bits
    assert raster.has_alpha == (channels == 4)
    actual = raster.samples
    if subsampling == "400":
        assert actual.shape[2] == channels - 2
        actual = actual[..., [0, 0, 0, 1][:channels]]
    white = (1 << bits) - 1
    if bits == 8:
        expected, tolerance = avifdec(tmp_path, data, 8).astype(float), 0.0
        if expected.ndim == 2:  # the luma as it is stored, whatever its range
            expected = expected[..., None]
            if value_range == "limited":
                expected = np.rint(np.clip((expected - 16) * (255 / 219), 0, 255))
    else:  # both round the same colour: to 16 bits, and to those of the file
        expected, tolerance = avifdec(tmp_path, data, 16) * (white / 65535), 0.5 + white / 131070
    assert np.abs(actual - expected).max() <= tolerance


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize(
    "options",
    [
        ["-a", "film-grain-test=5"],
        ["--tilerowslog2", 1, "--tilecolslog2", 1],
        ["-c", "rav1e"],
    ],
)
def test_film_grain_tiles_and_another_encoder(photos, tmp_path, options, bits) -> None:
    photo = photos["coffee"][:200, :301]
    data = avifenc(tmp_path, photo, "-d", bits, "-y", "420", "--min", 30, "--max", 40, *options)
    white = (1 << bits) - 1
    if bits == 8:
        expected, tolerance = avifdec(tmp_path, data, 8).astype(float), 0.0
    else:
        expected, tolerance = avifdec(tmp_path, data, 16) * (white / 65535), 0.51
    assert np.abs(read_avif(data, MAX_PIXELS).samples - expected).max() <= tolerance


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_lossless_samples_are_exact(samples, tmp_path, bits, channels) -> None:
    raster = read_avif(avifenc(tmp_path, samples[..., :channels], "-l", "-d", bits), MAX_PIXELS)
    white = (1 << bits) - 1
    assert np.array_equal(raster.samples, np.rint(samples[..., :channels] * (white / 65535)))


@pytest.mark.parametrize(("bits", "scale"), [(10, 4), (12, 16)])
def test_lossy_samples_are_those_of_float_arithmetic_on_the_luma_and_chroma(
    samples, tmp_path, bits, scale
) -> None:
    data = avifenc(tmp_path, samples[..., :3], "-d", bits, "-y", "444", "--min", 9, "--max", 9)
    source, target = tmp_path / "file.avif", tmp_path / "planes.y4m"
    source.write_bytes(data)
    run_tool("avifdec", source, target)
    planes = target.read_bytes().split(b"FRAME\n")[1]
    height, width = samples.shape[:2]
    y, cb, cr = np.frombuffer(planes, "<u2").reshape(3, height, width) / ((1 << bits) - 1.0)
    cb, cr = cb - 128 * scale / ((1 << bits) - 1), cr - 128 * scale / ((1 << bits) - 1)
    # BT.601, full range (ITU-T H.273, equations 41 to 43).
    kr, kb = 0.299, 0.114
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    exact = np.clip(np.stack([red, green, blue], -1), 0, 1) * ((1 << bits) - 1)
    assert np.abs(read_avif(data, MAX_PIXELS).samples - exact).max() < 0.51


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("value_range", ["full", "limited"])
def test_8_bits_have_the_digits_of_pillow(photos, subsampling, value_range) -> None:
    data = encode(photos["chelsea"], "AVIF", subsampling=subsampling, range=value_range, speed=10)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(read_avif(data, MAX_PIXELS).samples, expected)


def test_premultiplied_colours_are_divided_by_alpha(samples, tmp_path) -> None:
    data = avifenc(tmp_path, samples, "-d", 10, "--premultiply", "--min", 0, "--max", 0)
    expected = avifdec(tmp_path, data, 16) * (1023 / 65535)
    alpha = np.maximum(expected[..., 3:], 1) / 1023
    # The rounding of the premultiplied colours is divided by alpha too.
    tolerance = np.minimum(0.51 / alpha + 0.51, 1023)
    assert (np.abs(read_avif(data, MAX_PIXELS).samples - expected) < tolerance).all()


def test_ycgco_r_is_read_at_the_depth_of_its_rgb(photos) -> None:
    red, green, blue = np.moveaxis(photos["coffee"][:40, :50].astype(int), 2, 0)
    # ITU-T H.273, YCgCo-R: two bits more than RGB; the identity matrix stores the planes.
    co = red - blue
    half = blue + (co >> 1)
    cg = green - half
    planes = np.stack([co + 512, half + (cg >> 1), cg + 512], -1).astype(np.uint16)
    part = make_part(planes, 10, level=100, matrix=0)
    data = with_properties(part, nclx(1, 13, 16))
    raster = read_avif(data, MAX_PIXELS)
    assert raster.bit_depth == 8
    assert np.array_equal(raster.samples, photos["coffee"][:40, :50])


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ([nclx(12, 13, 6)], Cicp(12, 13)),
        ([nclx(9, 16, 9)], Cicp(9, 16)),
        ([nclx(2, 2, 6)], None),
        ([icc(SRGB)], None),
        ([nclx(9, 16, 6), icc(SRGB)], None),
        ([icc(SRGB), nclx(9, 16, 6)], None),
        ([], None),
    ],
)
def test_colours_of_the_boxes(part, properties, expected) -> None:
    raster = read_avif(with_properties(part, *properties), MAX_PIXELS)
    assert raster.cicp == expected
    assert raster.icc_profile == (SRGB if icc(SRGB) in properties else None)


def test_grey_is_converted_by_a_profile_of_rgb(samples) -> None:
    grey = np.ascontiguousarray(samples[..., 2] >> 6)
    part = make_part(grey, 10, level=100)
    profile = make_gamma_profile(1.0)
    raster = read_avif(with_properties(part, icc(profile)), MAX_PIXELS)
    assert np.array_equal(raster.samples, np.dstack([grey] * 3))
    linear = np.dstack([grey] * 3) / 1023
    # IEC 61966-2-1.
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    image = decode_image(with_properties(part, icc(profile)))
    assert np.abs(image / 1023 - encoded).max() < 2 / 1023


def make_gamma_profile(gamma: float) -> bytes:
    """Change the curves of an sRGB profile to a power of `gamma` (ICC.1:2022, 10.6, 10.18)."""
    profile = bytearray(SRGB)
    count = int.from_bytes(profile[128:132])
    for entry in range(132, 132 + 12 * count, 12):
        if profile[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            start = int.from_bytes(profile[entry + 4 : entry + 8])
            curve = b"curv" + bytes(4) + struct.pack(">LH", 1, round(gamma * 256))
            profile[start : start + 14] = curve
    return bytes(profile)


def test_colours_of_the_av1_data_count_where_the_boxes_say_nothing(samples) -> None:
    part = make_part(samples[..., :3] >> 6, 10, primaries=9, transfer=16, matrix=9)
    assert read_avif(with_properties(part), MAX_PIXELS).cicp == Cicp(9, 16)
    with pytest.raises(UnsupportedColour, match="PQ"):
        decode_image(with_properties(part))
    assert read_avif(with_properties(part, nclx(1, 13, 9)), MAX_PIXELS).cicp == Cicp(1, 13)
    assert read_avif(with_properties(part, nclx(2, 2, 9)), MAX_PIXELS).cicp is None
    assert read_avif(with_properties(part, icc(SRGB)), MAX_PIXELS).cicp is None


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("quarters", [None, 0, 1, 2, 3])
def test_rotation_and_mirroring_are_applied_once(photos, quarters, axis) -> None:
    photo = np.ascontiguousarray(photos["coffee"][:30, :50])
    part = make_part(photo, 8, level=100)
    turns = [] if quarters is None else [irot(quarters)]
    turns += [] if axis is None else [imir(axis)]
    image = decode_image(with_properties(part, *turns))
    expected = np.rot90(photo, quarters or 0)
    expected = expected if axis is None else np.flip(expected, axis)
    assert np.array_equal(image, expected)
    pillow = ImageOps.exif_transpose(Image.open(io.BytesIO(with_properties(part, *turns))))
    assert np.array_equal(image, np.asarray(pillow))
    # EXIF repeats the orientation, or says another: the properties decide.
    for orientation in (1, 6):
        data = assemble(Part(b"av01", part.data, [*part.properties, *turns]), exif(orientation))
        assert np.array_equal(decode_image(data), expected)


def test_unreadable_exif_is_ignored(part) -> None:
    upright = read_avif(with_properties(part), MAX_PIXELS).samples
    for block in (b"", b"\0\0\0\0not a TIFF", b"\xff" * 100):
        data = assemble(part, Part(b"Exif", block, references=[(b"cdsc", [1])]))
        assert np.array_equal(decode_image(data), upright)


def test_properties_apply_in_their_order(part) -> None:
    whole = read_avif(with_properties(part), MAX_PIXELS).samples
    data = with_properties(part, clap(21, 41), irot(1), imir(1))
    expected = np.rot90(whole[10:51, 13:34])[:, ::-1]
    assert np.array_equal(decode_image(data), expected)
    data = with_properties(part, irot(1), clap(21, 41), imir(0))
    expected = np.rot90(whole)[3:44, 20:41][::-1]
    assert np.array_equal(decode_image(data), expected)


def test_clean_aperture_is_applied(samples, tmp_path) -> None:
    photo = samples[:60, :46, :3] >> 8
    options = ["-l", "--crop", "4,10,20,30"]
    data = avifenc(tmp_path, photo.astype(np.uint8), *options)
    assert np.array_equal(decode_image(data), photo[10:40, 4:24])


def test_sequence_shows_its_first_frame(photos, samples, tmp_path) -> None:
    frames = [Image.fromarray(photos[name][:48, :64]) for name in ("coffee", "chelsea")]
    data = encode(np.asarray(frames[0]), "AVIF", save_all=True, append_images=frames[1:], speed=10)
    assert read_still(data).is_sequence
    assert np.array_equal(decode_image(data), np.asarray(Image.open(io.BytesIO(data))))

    for name, frame in (("a.png", samples), ("b.png", samples[::-1])):
        (tmp_path / name).write_bytes(imagecodecs.png_encode(np.ascontiguousarray(frame)))
    paths = [tmp_path / name for name in ("a.png", "b.png", "file.avif")]
    run_tool("avifenc", "-s", 10, "-d", 10, *paths)
    data = paths[-1].read_bytes()
    assert read_still(data).is_sequence
    raster = read_avif(data, MAX_PIXELS)
    assert raster.bit_depth == 10
    frames = imagecodecs.avif_decode(data)
    assert np.array_equal(raster.samples, frames[0])
    assert not np.array_equal(raster.samples, frames[1])
    position = data.index(b"meta")
    without_still = data[:position] + b"free" + data[position + 4 :]
    with pytest.raises(ImageReadError, match="a sequence of images without a still image"):
        read_avif(without_still, MAX_PIXELS)


def test_grid_is_put_together(samples, tmp_path) -> None:
    photo = np.tile(samples, (3, 4, 1))[:128, :128, :3]
    tiles = [photo[y : y + 64, x : x + 64] for y in (0, 64) for x in (0, 64)]
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path, tile in zip(paths, tiles, strict=True):
        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(tile)))
    target = tmp_path / "file.avif"
    run_tool("avifenc", "-s", 10, "-d", 10, "-l", "-g", "2x2", *paths, target)
    data = target.read_bytes()
    assert read_still(data).primary.kind == b"grid"
    raster = read_avif(data, MAX_PIXELS)
    assert np.array_equal(raster.samples, np.rint(photo * (1023 / 65535)))
    assert raster.cicp == Cicp(1, 13)
    with pytest.raises(ImageTooLarge):
        read_avif(data, 128 * 127)


def test_avif_may_have_the_brands_of_heif(part) -> None:
    samples = read_avif(with_properties(part), MAX_PIXELS).samples
    data = assemble(part, brands=[b"mif1", b"avif", b"miaf"])
    assert np.array_equal(decode_image(data), samples)


@pytest.mark.parametrize("name", [b"tmap", b"hvc1", b"iovl", b"\0\xff\0\0"])
def test_item_that_avif_does_not_show_is_refused(part, name) -> None:
    data = assemble(Part(name, b"", part.properties, [(b"dimg", [2])]), part)
    with pytest.raises(ImageReadError, match="which AVIF files cannot show|cannot be decoded"):
        decode_image(data)


def test_gain_map_leaves_the_base_image_as_it_is(part) -> None:
    base = Part(b"av01", part.data, [*part.properties, nclx(1, 13, 6)])
    tone_map = Part(b"tmap", bytes(60), part.properties, [(b"dimg", [1, 3])])
    data = assemble(base, tone_map, part)
    raster = read_avif(data, MAX_PIXELS)
    assert raster.cicp == Cicp(1, 13)
    assert np.array_equal(raster.samples, read_avif(with_properties(part), MAX_PIXELS).samples)


def test_size_that_is_not_that_of_the_av1_data_is_refused(part) -> None:
    other = [box for box in part.properties if box[0] != b"ispe"]
    for size in ((64, 64), (47, 60), (61, 47), (0, 0)):
        data = assemble(Part(part.kind, part.data, [ispe(*size), *other]))
        with pytest.raises(ImageReadError, match="but its AV1 data one of 47 x 61"):
            read_avif(data, MAX_PIXELS)
    with pytest.raises(ImageTooLarge, match="47 x 61 is 2867 pixels"):
        read_avif(assemble(Part(part.kind, part.data, [ispe(8, 8), *other])), 100)
    with pytest.raises(ImageTooLarge, match="50000 x 50000"):
        read_avif(assemble(Part(part.kind, part.data, [ispe(50000, 50000), *other])), MAX_PIXELS)
    with pytest.raises(ImageReadError):
        read_avif(assemble(Part(part.kind, part.data, other)), MAX_PIXELS)


def test_still_of_many_frames_is_refused(part) -> None:
    hidden = b"\x32\x01\0"  # a frame of one byte
    data = assemble(Part(part.kind, part.data + hidden * 100, part.properties))
    with pytest.raises(ImageReadError, match="8 frames"):
        read_avif(data, MAX_PIXELS)


def test_damaged_boxes_are_refused(part) -> None:
    data = with_properties(part)
    for kind in (b"meta", b"pitm", b"iinf", b"iloc", b"ispe", b"infe"):
        position = data.index(kind)
        for new in (b"free", struct.pack(">L", 0)):
            broken = data[:position] + new + data[position + 4 :]
            with pytest.raises(ImageReadError):
                decode_image(broken)
