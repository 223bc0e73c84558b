"""JPEG XL: samples against the originals, djxl and imagecodecs; colours, layers, damaged files."""

import io
import re
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from roi_ray.errors import ImageError, ImageReadError, ImageTooLarge, UnsupportedColour
from roi_ray.imaging.decode import decode_image, decode_mask
from roi_ray.imaging.pixels import bit_depth_of
from roi_ray.imaging.raster import Cicp, Raster
from roi_ray.imaging.readers.jpegxl import read_jpegxl
from roi_ray.imaging.readers.libjxl import Memory
from tests.conftest import deepen
from tests.imaging.heif_files import run_tool
from tests.imaging.jxl_encoder import Frame, encode, encode_layers

MAX_PIXELS = 1 << 20

SRGB = Cicp(1, 13)
D65, EQUAL_ENERGY, DCI_WHITE = 1, 10, 11
SRGB_PRIMARIES, BT2020, P3 = 1, 9, 11
BT709, LINEAR, PQ, DCI, HLG, GAMMA = 1, 8, 16, 17, 18, 65535

SDR_COLOURS = {
    "sRGB": {},
    "Display P3": {"colours": (D65, P3, 13)},
    "BT.2020 with BT.709's curve": {"colours": (D65, BT2020, BT709)},
    "linear sRGB": {"colours": (D65, SRGB_PRIMARIES, LINEAR)},
    "gamma 2.2": {"colours": (D65, SRGB_PRIMARIES, GAMMA), "gamma": 0.45455},
    "DCI P3": {"colours": (DCI_WHITE, P3, DCI)},
    "equal-energy white": {"colours": (EQUAL_ENERGY, SRGB_PRIMARIES, 13)},
}


def read(data: bytes) -> Raster:
    return read_jpegxl(data, MAX_PIXELS)


@pytest.fixture
def photo(photos) -> NDArray[np.uint8]:
    return np.ascontiguousarray(photos["coffee"][100:196, 200:328])


def at_depth(photo: NDArray[np.uint8], bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    return photo if bits == 8 else np.asarray(deepen(photo, bits))


def with_channels(samples: NDArray, channels: int) -> NDArray:
    """Make grey (1), grey with alpha (2), RGB (3) or RGBA (4)."""
    alpha = samples[:, ::-1, :1]
    colour = samples[..., 1:2] if channels < 3 else samples
    return colour if channels % 2 else np.concatenate([colour, alpha], axis=2)


def difference(a: NDArray, b: NDArray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b).max())


def decode_by_djxl(folder: Path, data: bytes, *options: str) -> NDArray[np.uint16]:
    """Decode to samples (height, width, 1 or 3) by djxl, which writes PGM or PPM."""
    (folder / "a.jxl").write_bytes(data)
    target = folder / ("a.pgm" if read(data).samples.shape[2] == 1 else "a.ppm")
    run_tool("djxl", folder / "a.jxl", target, *options)
    head = re.match(rb"P[56]\s(\d+)\s(\d+)\s(\d+)\s", content := target.read_bytes())
    width, height, white = map(int, head.groups())
    samples = np.frombuffer(content[head.end() :], ">u2" if white > 255 else np.uint8)
    return samples.reshape(height, width, -1).astype(np.uint16)


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_samples_are_exact(photo, bits, channels) -> None:
    original = with_channels(at_depth(photo, bits), channels)
    data = encode(original, bits=bits)
    raster = read(data)
    assert np.array_equal(raster.samples, original)
    assert raster.samples.dtype == original.dtype
    assert raster.bit_depth == bits
    assert raster.has_alpha == (channels in (2, 4))
    assert raster.orientation == 1
    assert np.array_equal(imagecodecs.jpegxl_decode(data), original.squeeze())
    assert bit_depth_of(decode_image(data)) == bits


@pytest.mark.parametrize("bits", [1, 4])
def test_samples_of_few_bits_are_scaled_to_8(photo, bits) -> None:
    original = photo >> (8 - bits)
    raster = read(encode(original, bits=bits))
    assert raster.bit_depth == 8
    assert np.array_equal(raster.samples, original * (255 // (2**bits - 1)))


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_files_of_imagecodecs_are_read_as_the_linear_light_that_they_state(photo, bits) -> None:
    original = at_depth(photo, bits)
    raster = read(imagecodecs.jpegxl_encode(original, lossless=True, bitspersample=bits))
    assert np.array_equal(raster.samples, original)
    assert raster.cicp == (SRGB if bits == 8 else Cicp(1, 8))


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("name", SDR_COLOURS)
def test_lossy_image_of_any_colours_is_srgb_as_of_djxl(tmp_path, photo, bits, name) -> None:
    data = encode(at_depth(photo, bits), lossless=False, bits=bits, **SDR_COLOURS[name])
    raster = read(data)
    assert (raster.bit_depth, raster.cicp, raster.icc_profile) == (bits, SRGB, None)
    expected = decode_by_djxl(tmp_path, data, "--color_space=RGB_D65_SRG_Rel_SRG")
    if bits == 8:
        assert difference(raster.samples, expected) <= 1
    else:  # djxl writes 16 bits, whatever it says
        levels = raster.samples - expected / 65535 * (2**bits - 1)
        assert np.abs(levels).max() < 0.5 + 2**bits / 2**16


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_lossy_grey_and_alpha_are_those_of_djxl(tmp_path, photo, channels) -> None:
    original = with_channels(photo, channels)
    raster = read(encode(original, lossless=False))
    assert raster.cicp == SRGB
    assert raster.has_alpha == (channels % 2 == 0)
    if raster.has_alpha:
        assert np.array_equal(raster.samples[..., -1], original[..., -1])  # kept by the encoder
    else:
        data = encode(original, lossless=False)
        assert difference(raster.samples, decode_by_djxl(tmp_path, data)) <= 1


def test_8_bit_samples_are_rounded_and_not_dithered(photo) -> None:
    # The same pixels in two files, whose headers tell different depths.
    original = (photo / 255).astype(np.float32)
    narrow, wide = (read(encode(original, lossless=False, bits=bits)) for bits in (8, 16))
    assert (narrow.bit_depth, wide.bit_depth) == (8, 16)
    assert np.array_equal(narrow.samples, np.rint(wide.samples / 257))
    assert len(np.unique(wide.samples)) > 10_000


@pytest.mark.parametrize(
    ("colour_space", "cicp"),
    [
        ("RGB_D65_SRG_Rel_SRG", SRGB),
        ("RGB_D65_DCI_Rel_SRG", Cicp(12, 13)),
        ("RGB_D65_202_Rel_709", Cicp(9, 1)),
        ("RGB_D65_202_Rel_SRG", Cicp(9, 13)),
        ("RGB_D65_SRG_Rel_Lin", Cicp(1, 8)),
        ("RGB_D65_SRG_Rel_g0.45455", None),
        ("RGB_EER_SRG_Rel_SRG", None),
    ],
)
def test_lossless_file_of_cjxl_keeps_its_colours(tmp_path, photo, colour_space, cicp) -> None:
    Image.fromarray(photo).save(tmp_path / "a.ppm")
    options = "-d", "0", "-x", f"color_space={colour_space}"
    run_tool("cjxl", tmp_path / "a.ppm", tmp_path / "b.jxl", *options)
    raster = read((tmp_path / "b.jxl").read_bytes())
    assert np.array_equal(raster.samples, photo)
    assert raster.cicp == cicp
    assert (raster.icc_profile is None) == (cicp is not None)


@pytest.mark.parametrize("name", SDR_COLOURS)
def test_lossless_and_nearly_lossless_images_show_the_same_colours(photo, name) -> None:
    wide = at_depth(photo, 16)
    lossless = decode_image(encode(wide, **SDR_COLOURS[name])).astype(float)
    lossy = decode_image(encode(wide, lossless=False, distance=0.05, **SDR_COLOURS[name]))
    error = (lossy - lossless) / 257  # in levels of 8 bits
    assert np.sqrt(np.mean(error**2)) < 4
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.5


def wide_gamut_profile() -> bytes:
    """Make a profile that JPEG XL cannot enumerate: its curve is neither a power nor a standard."""
    light = np.linspace(0, 1, 1024)
    return imagecodecs.cms_profile(
        "rgb",
        whitepoint=[0.3127, 0.3290],
        primaries=[0.64, 0.33, 0.21, 0.71, 0.15, 0.06],
        transferfunction=np.rint((0.3 * light + 0.7 * light**2.6) * 65535).astype(np.uint16),
    )


def test_icc_profile_of_a_lossless_image_is_kept(photo) -> None:
    profile = wide_gamut_profile()
    raster = read(encode(photo, icc_profile=profile))
    assert np.array_equal(raster.samples, photo)
    assert (raster.icc_profile, raster.cicp) == (profile, None)


def test_lossy_image_with_icc_profile_keeps_its_shadows(tmp_path, photo) -> None:
    dark = (photo // 8).astype(np.uint8)
    data = encode(dark, lossless=False, distance=0.1, icc_profile=wide_gamut_profile())
    raster = read(data)
    assert (raster.cicp, raster.icc_profile) == (SRGB, None)
    expected = decode_by_djxl(tmp_path, data, "--color_space=RGB_D65_SRG_Rel_SRG")
    assert difference(raster.samples, expected) <= 1
    # Without a colour space to decode to, libjxl gives linear light, of which 8 bits are too few.
    assert len(np.unique(raster.samples)) > 3 * len(np.unique(imagecodecs.jpegxl_decode(data)))


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize(("transfer", "name"), [(PQ, "PQ"), (HLG, "HLG")])
def test_hdr_is_refused_by_name(photo, transfer, name, lossless) -> None:
    data = encode(photo, colours=(D65, BT2020, transfer), lossless=lossless)
    with pytest.raises(UnsupportedColour, match=f"{name}.*SDR"):
        read(data)


def test_lossy_hdr_signalled_by_an_icc_profile_is_refused(photo) -> None:
    profile = bytearray(wide_gamut_profile())
    entry = 132 + 12 * (int.from_bytes(profile[128:132]) - 1)
    content = b"cicp" + bytes(4) + bytes([9, 16, 0, 1])
    profile[entry : entry + 12] = b"cicp" + len(profile).to_bytes(4) + len(content).to_bytes(4)
    profile[0:4] = (len(profile) + len(content)).to_bytes(4)
    data = encode(photo, icc_profile=bytes(profile) + content, lossless=False)
    with pytest.raises(UnsupportedColour, match="PQ"):
        read(data)


@pytest.mark.parametrize("quality", [50, 95])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_transcoded_jpeg_is_that_of_djxl(tmp_path, photo, quality, subsampling, mode) -> None:
    image = Image.fromarray(photo).convert(mode)
    image.save(tmp_path / "a.jpg", quality=quality, subsampling=subsampling)
    run_tool("cjxl", tmp_path / "a.jpg", tmp_path / "b.jxl")
    data = (tmp_path / "b.jxl").read_bytes()
    run_tool("djxl", tmp_path / "b.jxl", tmp_path / "c.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "c.jpg").read_bytes()
    raster = read(data)
    assert difference(raster.samples, decode_by_djxl(tmp_path, data)) <= 1
    # libjxl estimates coefficients within their quantization steps; JPEG decoders do not.
    jpeg, original = np.asarray(Image.open(tmp_path / "a.jpg"), float), np.asarray(image, float)
    mse_of_jpeg = np.mean((jpeg - original) ** 2)
    assert np.mean((raster.samples.squeeze() - jpeg) ** 2) < mse_of_jpeg / 2 + 0.5


def test_transcoded_jpeg_keeps_profile_and_orientation(tmp_path, photo) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(photo)
    profile = wide_gamut_profile()
    image.save(tmp_path / "a.jpg", quality=95, exif=exif, icc_profile=profile)
    run_tool("cjxl", tmp_path / "a.jpg", tmp_path / "b.jxl")
    raster = read((tmp_path / "b.jxl").read_bytes())
    assert raster.icc_profile == profile
    assert raster.orientation == 1
    assert np.abs(raster.samples - np.rot90(photo, -1).astype(int)).mean() < 5


ORIENTATIONS = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("has_exif", [False, True])
def test_orientation_is_applied_once_and_exif_ignored(photo, orientation, has_exif) -> None:
    data = encode(photo, orientation=orientation, container=True)
    if has_exif:
        exif = Image.Exif()
        exif[0x0112] = 8
        box = bytes(4) + exif.tobytes().removeprefix(b"Exif\0\0")
        position = data.index(b"jxlc") - 4
        box = (8 + len(box)).to_bytes(4) + b"Exif" + box
        data = data[:position] + box + data[position:]
    raster = read(data)
    assert raster.orientation == 1
    assert np.array_equal(raster.samples, ORIENTATIONS[orientation](photo))
    assert np.array_equal(decode_image(data), raster.samples)


@pytest.mark.parametrize("lossless", [True, False])
def test_premultiplied_alpha_is_divided_out(photo, lossless) -> None:
    alpha = np.tile(np.linspace(60, 255, photo.shape[1]).astype(np.uint8), (photo.shape[0], 1))
    factor = alpha[..., None] / 255
    premultiplied = np.dstack([np.rint(photo * factor).astype(np.uint8), alpha])
    raster = read(encode(premultiplied, premultiplied=True, lossless=lossless, distance=0.1))
    assert np.array_equal(raster.samples[..., 3], alpha)
    error = raster.samples[..., :3] - (premultiplied[..., :3] / factor).clip(0, 255)
    assert np.abs(error).max() <= (0.501 if lossless else 50)
    assert np.abs(error).mean() < 2


def test_lossy_premultiplied_alpha_of_other_colours_is_refused(photo) -> None:
    rgba = np.minimum(with_channels(photo, 4), photo[:, ::-1, :1])
    data = encode(rgba, premultiplied=True, lossless=False, colours=(D65, P3, 13))
    with pytest.raises(ImageReadError, match="premultiplied"):
        read(data)


@pytest.mark.parametrize("kind", [1, 3, 6, 16])
def test_channels_that_are_not_shown_are_ignored(photo, kind) -> None:
    rgba = with_channels(photo, 4)
    channels = [(kind, photo[..., 0])] * 2
    assert np.array_equal(read(encode(rgba, extra_channels=channels)).samples, rgba)


@pytest.mark.parametrize(("kind", "name"), [(2, "spot"), (4, "CMYK"), (5, "filter")])
def test_channels_that_change_the_colours_are_refused(photo, kind, name) -> None:
    data = encode(photo, extra_channels=[(kind, photo[..., 0])])
    with pytest.raises(UnsupportedColour, match=f"{name}.*convert it"):
        read(data)


@pytest.mark.parametrize(("bits", "name"), [(0, "floating-point"), (20, "20 bits")])
def test_samples_that_are_not_of_16_bits_are_refused(photo, bits, name) -> None:
    data = encode((photo / 255).astype(np.float32), bits=bits)
    with pytest.raises(ImageReadError, match=f"{name}.*djxl"):
        read(data)


def test_first_frame_of_an_animation_is_shown_on_the_whole_canvas(photo) -> None:
    rgba = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    crop = rgba[:40, :50]
    later = Frame(255 - rgba, duration=1)
    raster = read(encode(frames=[Frame(crop, 2, left=30, top=20), later], canvas=(128, 96)))
    expected = np.zeros_like(rgba)
    expected[20:60, 30:80] = crop
    assert np.array_equal(raster.samples, expected)


def test_animation_of_cjxl_is_its_first_frame(tmp_path, photo) -> None:
    frames = [Image.fromarray(image) for image in (photo, photo[::-1], photo[:, ::-1])]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=100)
    run_tool("cjxl", "-d", "0", tmp_path / "a.png", tmp_path / "b.jxl")
    assert np.array_equal(decode_image((tmp_path / "b.jxl").read_bytes()), photo)


def test_layers_are_blended(photo) -> None:
    rgba = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    half = np.array(255 - rgba[:60, :70])
    half[..., 3] = 128
    raster = read(encode(frames=[Frame(rgba, blend=0), Frame(half, left=-10, top=-20)]))
    expected = rgba.astype(float)
    region = expected[:40, :60, :3]
    region += (half[20:, 10:, :3] - region) * (128 / 255)
    assert np.abs(raster.samples - expected).max() <= 0.51


@pytest.mark.parametrize("container", [False, True])
def test_size_is_checked_before_decoding(photo, container) -> None:
    data = encode(photo, container=container)
    with pytest.raises(ImageTooLarge, match="128 x 96 is 12288 pixels, more than the 12287"):
        read_jpegxl(data[: 120 if container else 40], 12287)
    assert read_jpegxl(data, 12288).samples.shape == (96, 128, 3)


def test_mask_is_read(photo) -> None:
    mask = (photo[..., :1] > 99) * np.uint8(255)
    assert np.array_equal(decode_mask(encode(mask)), mask[..., 0])


@pytest.mark.parametrize("options", [{}, {"lossless": False}, {"container": True}])
def test_truncated_file_is_an_error(photo, options) -> None:
    data = encode(photo, **options)
    for length in [*range(100), *range(100, len(data), 97), len(data) - 1]:
        with pytest.raises(ImageError):
            decode_image(data[:length] or b"\xff")
    with pytest.raises(ImageReadError, match="truncated"):
        read(data[:-10])


@pytest.mark.parametrize(
    ("canvas", "layer_side", "count"), [(16, 4096, 1), (16, 16, 2500), (512, 512, 2500)]
)
def test_layers_that_cost_too_much_are_refused(canvas, layer_side, count) -> None:
    layer = Frame(np.full((layer_side, layer_side, 4), 200, np.uint8))
    data = encode_layers(layer, count, canvas=(canvas, canvas), lossless=False)
    with pytest.raises(ImageReadError, match=r"many layers.*djxl"):
        read(data)


def test_repeated_layers_are_those_that_are_encoded() -> None:
    layer = Frame(np.full((16, 16, 4), 9, np.uint8))
    for count in (3, 4, 7):
        assert encode_layers(layer, count) == encode(frames=[layer] * count)
    assert (read(encode_layers(layer, 50)).samples[..., :3] == 9).all()


def test_memory_is_freed_and_limited(monkeypatch, photo) -> None:
    memories = []

    class Watched(Memory):
        def __init__(self, limit: int, work_limit: int) -> None:
            super().__init__(limit, work_limit)
            memories.append(self)

    monkeypatch.setattr("roi_ray.imaging.readers.jpegxl.Memory", Watched)
    large = np.tile(photo, (10, 8, 1))
    for lossless in (True, False):
        read(encode(large, lossless=lossless))
        memory = memories.pop()
        assert not memory.exceeded
        assert memory.used == 0
        assert memory.peak < 20 * large[..., 0].size
    data = encode(large)
    for limit in (1 << 10, 1 << 16, 1 << 20, 1 << 22):  # libjxl survives a refusal anywhere
        monkeypatch.setattr("roi_ray.imaging.readers.jpegxl._HEADER_MEMORY", limit)
        monkeypatch.setattr("roi_ray.imaging.readers.jpegxl._BYTES_PER_PIXEL", 0)
        with pytest.raises((ImageReadError, MemoryError)):
            read(data)
        assert memories.pop().used == 0


def test_metadata_after_the_image_is_ignored(photo) -> None:
    data = encode(photo, container=True) + (16).to_bytes(4) + b"xml <xml/>  "
    assert np.array_equal(read(data).samples, photo)
    buffer = io.BytesIO(data)
    assert np.array_equal(decode_image(buffer.read()), photo)
