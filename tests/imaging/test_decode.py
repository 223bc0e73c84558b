import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from roi_ray.errors import ImageReadError, ImageTooLarge, SizeMismatch
from roi_ray.imaging.decode import decode_image, decode_mask
from roi_ray.imaging.pixels import HighBitDepthImage, check_size
from tests.conftest import Photos, encode


def saved(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def photo(photos: Photos) -> Image.Image:
    return Image.fromarray(photos["coffee"][:120, :200])


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"])
def test_lossless_file_decodes_to_its_pixels(photos, file_format) -> None:
    pixels = photos["coffee"][:121, :201]
    lossless = {
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }.get(file_format, {})
    decoded = decode_image(encode(pixels, file_format, **lossless))
    assert decoded.dtype == np.uint8
    # At quality 100, AVIF still converts to YUV.
    tolerance = 3 if file_format == "AVIF" else 0
    assert np.abs(decoded.astype(int) - pixels).max() <= tolerance


def test_grey_becomes_three_equal_channels(photos) -> None:
    grey = photo(photos).convert("L")
    decoded = decode_image(saved(grey))
    assert np.array_equal(decoded, np.repeat(np.asarray(grey)[..., None], 3, axis=2))


def test_palette_image_decodes_to_its_colours(photos) -> None:
    palette = photo(photos).quantize(16)
    assert np.array_equal(decode_image(saved(palette)), np.asarray(palette.convert("RGB")))


def test_alpha_is_composited_over_white(photos) -> None:
    image = photo(photos)
    opaque = np.asarray(image).astype(float)
    image.putalpha(128)
    expected = opaque * 128 / 255 + 255 * 127 / 255
    assert np.abs(decode_image(saved(image)) - expected).max() <= 1
    image.putalpha(0)
    assert (decode_image(saved(image)) == 255).all()
    image.putalpha(255)
    assert np.array_equal(decode_image(saved(image)), opaque)


def test_transparent_palette_entry_is_composited_over_white() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 0)
    decoded = decode_image(saved(image, transparency=0))
    assert decoded[0, 0].tolist() == [255, 255, 255]
    assert decoded[1, 1].tolist() == [0, 0, 255]


def test_16_bit_grey_keeps_its_depth(photos) -> None:
    wide = np.asarray(photo(photos).convert("L")).astype(np.uint16) * 257 - 1
    decoded = decode_image(saved(Image.fromarray(wide)))
    assert isinstance(decoded, HighBitDepthImage) and decoded.bit_depth == 16
    assert np.array_equal(decoded, np.repeat(wide[..., None], 3, axis=2))


def png(
    width: int, height: int, depth: int, raw: bytes, *more: tuple[bytes, bytes], colour: int = 2
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), *more, (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def test_floating_point_pixels_are_refused() -> None:
    with pytest.raises(ImageReadError, match="floating-point"):
        decode_image(saved(Image.new("F", (20, 20)), "TIFF"))


def grey_tiff(
    depth: int, raw: bytes, *, white_is_zero: bool = False, signed: bool = False
) -> bytes:
    """Build a TIFF of four grey pixels in a row."""
    tags = [(256, 4), (257, 1), (258, depth), (259, 1), (262, int(not white_is_zero)), (273, 8)]
    tags += [(277, 1), (278, 1), (279, len(raw)), (339, 1 + signed)]
    directory = 8 + len(raw) + len(raw) % 2
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    table = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", directory) + raw.ljust(directory - 8, b"\0") + table


def test_grey_tiffs_are_read_at_their_own_depth() -> None:
    values = np.array([0, 256, 32768, 65535], "<u2")
    decoded = decode_image(grey_tiff(16, values.tobytes()))
    assert decoded[0, :, 0].tolist() == [0, 256, 32768, 65535]
    inverted = decode_image(grey_tiff(16, values.tobytes(), white_is_zero=True))
    assert inverted[0, :, 0].tolist() == [65535, 65279, 32767, 0]
    white = decode_image(grey_tiff(12, b"\xff" * 6))
    assert (white[0, :, 0].tolist(), white.bit_depth) == ([4095] * 4, 12)
    for data, text in (
        (grey_tiff(32, np.full(4, 255, "<u4").tobytes()), "32 bits per sample is not supported"),
        (grey_tiff(16, values.tobytes(), signed=True), "signed"),
    ):
        with pytest.raises(ImageReadError, match=text):
            decode_image(data)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(photos, orientation) -> None:
    upright = photo(photos)
    transposed = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if transposed is None else upright.transpose(transposed)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode_image(saved(stored, exif=exif)), np.asarray(upright))


def test_cmyk_without_a_profile_is_converted_by_pillow(photos) -> None:
    cmyk = photo(photos).convert("CMYK")
    decoded = decode_image(saved(cmyk, "TIFF"))
    assert np.array_equal(decoded, np.asarray(cmyk.convert("RGB")))


def swapped_profile() -> bytes:
    """Build the sRGB profile with the primaries of red and blue swapped."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for text in ("sRGB".encode("ascii"), "sRGB".encode("utf-16-be")):
        profile = profile.replace(text, text.replace(b"s", b"x"))
    return profile.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")


@pytest.mark.parametrize("alpha", [False, True])
def test_image_with_a_non_srgb_profile_is_converted_to_srgb(photos, alpha) -> None:
    image = photo(photos)
    if alpha:
        image.putalpha(255)
    decoded = decode_image(saved(image, icc_profile=swapped_profile()))
    swapped = photos["coffee"][:120, :200, ::-1].astype(int)
    assert np.abs(decoded - swapped).max() <= 1


@pytest.mark.parametrize("alpha", [False, True])
def test_srgb_profile_and_broken_profile_leave_pixels_unchanged(photos, alpha) -> None:
    image = photo(photos)
    if alpha:
        image.putalpha(255)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"not a profile" * 20):
        decoded = decode_image(saved(image, icc_profile=profile))
        assert np.array_equal(decoded, photos["coffee"][:120, :200])


def test_animation_decodes_to_its_first_frame(photos) -> None:
    frames = [Image.fromarray(photos["coffee"][i : i + 100, :100]) for i in (0, 100, 200)]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(decode_image(data), np.asarray(frames[0]))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "JPEG2000", "AVIF", "TIFF"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7])
def test_truncated_file_is_an_error(photos, file_format, kept) -> None:
    data = encode(photos["coffee"][:128, :128], file_format)
    with pytest.raises(ImageReadError, match="cannot be decoded|not an image|truncated"):
        decode_image(data[: int(len(data) * kept)])


def test_empty_file_and_other_formats_are_errors() -> None:
    with pytest.raises(ImageReadError, match=r"empty \(0 bytes\)"):
        decode_image(b"")
    with pytest.raises(ImageReadError, match="HTML"):
        decode_image(b"<!DOCTYPE html><title>404</title>")
    with pytest.raises(ImageReadError, match="PostScript"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")


def test_image_above_max_pixels_is_refused(photos) -> None:
    data = encode(photos["coffee"])
    assert decode_image(data, max_pixels=600 * 400).shape == (400, 600, 3)
    with pytest.raises(ImageTooLarge, match=r"600 x 400 is 240000 pixels, more than the 239999"):
        decode_image(data, max_pixels=600 * 400 - 1)


def test_png_that_claims_gigapixels_is_refused() -> None:
    with pytest.raises(ImageTooLarge, match="--max-pixels"):
        decode_image(png(50_000, 50_000, 8, bytes(10**6)))


@pytest.mark.parametrize("limit", [1000, None])
def test_max_pixels_replaces_the_limit_of_pillow_for_one_call(monkeypatch, photos, limit) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert decode_image(encode(photos["coffee"]), max_pixels=10**6).shape == (400, 600, 3)
    after = Image.MAX_IMAGE_PIXELS
    assert after == limit


def test_concurrent_threads_keep_their_own_max_pixels(photos) -> None:
    data, filters = encode(photos["coffee"], "JPEG"), list(warnings.filters)

    def decode_with_limit(i: int) -> tuple[int, ...] | None:
        try:
            return decode_image(data, max_pixels=10**6 if i % 2 else 1000).shape
        except ImageTooLarge:
            return None

    with ThreadPoolExecutor(4) as pool:
        shapes = list(pool.map(decode_with_limit, range(64)))
    assert shapes == [None, (400, 600, 3)] * 32
    assert warnings.filters == filters


@pytest.mark.parametrize("exif", [b"orientation: 6", b"II*\0\x08\0\0\0\xff\xff", b"MM"])
def test_unreadable_exif_is_ignored(photos, exif) -> None:
    for file_format in ("PNG", "JPEG", "WEBP"):
        data = saved(photo(photos), file_format, exif=b"Exif\0\0" + exif)
        assert decode_image(data).shape == (120, 200, 3)


def test_png_text_chunk_named_icc_profile_is_not_a_profile(photos) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("icc_profile", "sRGB")
    decoded = decode_image(saved(photo(photos), pnginfo=text))
    assert np.array_equal(decoded, photos["coffee"][:120, :200])


def test_large_but_regular_files_are_not_refused_as_bombs(photos) -> None:
    image = photo(photos)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (
        saved(image, "JPEG", progressive=True, icc_profile=profile * 1000),
        saved(image, "JPEG2000", precinct_size=(64, 64), codeblock_size=(8, 8)),
        saved(image, "JPEG2000", tile_size=(50, 50), num_resolutions=3),
        saved(image, "TIFF", compression="tiff_lzw", tile=(64, 64)),
        saved(image, "GIF", comment=b"c" * 10**5),
    ):
        assert decode_image(data).shape == (120, 200, 3)


def test_mask_decodes_to_one_channel(photos) -> None:
    mask = np.zeros((40, 50), np.uint8)
    mask[10:, 20:] = 200
    assert np.array_equal(decode_mask(saved(Image.fromarray(mask))), mask)
    rgb = Image.fromarray(mask).convert("RGB")
    assert np.array_equal(decode_mask(saved(rgb)), mask)


def test_check_size_refuses_only_other_sizes(photos) -> None:
    x = photos["coffee"]
    check_size(x.copy(), x)
    check_size(x[..., 0], (400, 600))
    with pytest.raises(SizeMismatch, match="599 x 400, but the reference is 600 x 400"):
        check_size(x[:, 1:], x)


def linear_profile(description: str) -> bytes:
    """Build a linear sRGB profile; `description` must be as long as that of sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    start = profile.index(b"para")
    # Function type 0, an exponent of 1: (type, reserved, function, reserved, exponent).
    curve = b"para" + bytes(4) + bytes(4) + (1 << 16).to_bytes(4)
    profile = profile[:start] + curve + profile[start + len(curve) :]
    for encoding in ("ascii", "utf-16-be"):
        profile = profile.replace("sRGB built-in".encode(encoding), description.encode(encoding))
    return profile


@pytest.mark.parametrize("description", ["Linear sRGB !", "Linear Rec709"])
def test_linear_profile_is_converted_whatever_its_name(description) -> None:
    grey = Image.new("RGB", (8, 8), (128, 128, 128))
    decoded = decode_image(saved(grey, icc_profile=linear_profile(description)))
    assert np.abs(decoded.astype(int) - 188).max() <= 1  # 255 (1.055 (128 / 255)^(1 / 2.4) - 0.055)


def grey_profile(gamma: float) -> bytes:
    """Build a grey profile (ICC.1:2001): a header, the white point and a curve."""
    tags = {
        b"wtpt": b"XYZ " + bytes(4) + bytes.fromhex("0000f6d6000100000000d32d"),
        b"kTRC": b"curv" + bytes(4) + (1).to_bytes(4) + round(gamma * 256).to_bytes(2) + bytes(2),
    }
    directory, data = len(tags).to_bytes(4), b""
    for name, value in tags.items():
        offset = 128 + 4 + 12 * len(tags) + len(data)
        directory += name + offset.to_bytes(4) + len(value).to_bytes(4)
        data += value
    header = bytearray(128)
    header[8:12] = bytes([2, 0x10, 0, 0])
    header[12:24] = b"mntrGRAYXYZ "
    header[36:40] = b"acsp"
    header[68:80] = bytes.fromhex("0000f6d6000100000000d32d")
    profile = bytes(header) + directory + data
    return len(profile).to_bytes(4) + profile[4:]


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_profile_is_applied_with_and_without_alpha(mode) -> None:
    image = Image.new("L", (8, 8), 128).convert(mode)
    decoded = decode_image(saved(image, icc_profile=grey_profile(1.0)))
    assert np.abs(decoded.astype(int) - 188).max() <= 1


def test_mask_is_turned_upright_and_must_be_opaque() -> None:
    pixels = np.zeros((64, 96), np.uint8)
    pixels[:32] = 255
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 3
    assert np.array_equal(decode_mask(saved(image, exif=exif)), pixels[::-1])
    exif[0x0112] = 6
    assert decode_mask(saved(image, exif=exif)).shape == (96, 64)
    opaque = image.convert("LA")
    assert np.array_equal(decode_mask(saved(opaque)), pixels)
    opaque.putpixel((3, 3), (255, 200))
    with pytest.raises(ImageReadError, match="the mask has transparent pixels"):
        decode_mask(saved(opaque))


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "AVIF", "TIFF"])
def test_xmp_orientation_is_ignored(file_format) -> None:
    options = {"tiffinfo": {700: XMP}} if file_format == "TIFF" else {"xmp": XMP}
    data = saved(Image.new("RGB", (30, 20)), file_format, **options)
    assert XMP in data
    assert decode_image(data).shape == (20, 30, 3)


@pytest.mark.parametrize(("bits", "key", "other"), [(1, 1, 0), (2, 1, 3), (4, 7, 15)])
def test_transparent_grey_level_below_8_bits_is_composited(bits, key, other) -> None:
    packed = [sum(grey << shift for shift in range(0, 8, bits)) for grey in (key, other)]
    lines = b"".join(bytes([0, grey, grey]) for grey in packed)
    transparent = (b"tRNS", key.to_bytes(2))
    decoded = decode_image(png(16 // bits, 2, bits, lines, transparent, colour=0))
    assert (decoded[0] == 255).all()
    assert (decoded[1] == round(other * 255 / (2**bits - 1))).all()


def test_grey_tiff_of_signed_bytes_is_refused() -> None:
    with pytest.raises(ImageReadError, match="a TIFF of signed samples"):
        decode_image(grey_tiff(8, bytes([0x90] * 4), signed=True))
    assert (decode_image(grey_tiff(8, bytes([0x90] * 4))) == 0x90).all()


def test_grey_tiff_with_premultiplied_alpha_is_composited() -> None:
    image = Image.new("LA", (8, 8), (99, 128))
    data = bytearray(saved(image, "TIFF"))
    # ExtraSamples: change unassociated (2) to associated alpha (1).
    index = data.index(struct.pack("<HHI", 338, 3, 1)) + 8
    assert data[index] == 2
    data[index] = 1
    expected = 99 * 255 / 128 * 128 / 255 + 255 - 128
    assert np.abs(decode_image(bytes(data)).astype(int) - expected).max() <= 1
