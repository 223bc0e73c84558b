"""Masks: which are read as levels, and which are refused because their values are none."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFilter

from roi_ray.errors import ImageReadError, UnusableMask
from roi_ray.imaging.decode import convert_mask, decode_map, decode_mask
from roi_ray.imaging.load import load_mask
from roi_ray.imaging.masks import check_mask
from tests.conftest import encode, encode_16_bits

INSIDE = np.zeros((60, 90), bool)
INSIDE[10:40, 30:70] = True
MASK = INSIDE * np.uint8(255)
ZERO_ONE = INSIDE.astype(np.uint8)


def label_colours(count: int = 256) -> np.ndarray:
    """Return the colours of the labels of PASCAL VOC and DAVIS, uint8, (count, 3).

    The three lowest bits of a label are the highest bits of red, green and blue, and so on.
    """
    labels = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for step in range(3):
        for channel in range(3):
            colours[:, channel] |= ((labels >> (3 * step + channel) & 1) << (7 - step)).astype("u1")
    return colours


def indexed(labels: np.ndarray, colours: np.ndarray) -> Image.Image:
    image = Image.fromarray(labels.astype(np.uint8)).convert("P")
    image.putpalette(colours.astype(np.uint8).tobytes())
    return image


def save(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def blurred(mask: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.BoxBlur(radius)))


def tiff(samples: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


ZERO_ONE_FILES = {
    "PNG": encode(ZERO_ONE),
    "PNG, RGB": encode(np.repeat(ZERO_ONE[..., None], 3, axis=2)),
    "PNG, opaque alpha": save(Image.fromarray(ZERO_ONE).convert("LA")),
    "PNG, grey palette": save(Image.fromarray(ZERO_ONE).convert("P")),
    "BMP": encode(ZERO_ONE, "BMP"),
    "GIF": encode(ZERO_ONE, "GIF"),
    "TIFF": encode(ZERO_ONE, "TIFF"),
    "WebP": encode(np.repeat(ZERO_ONE[..., None], 3, axis=2), "WEBP", lossless=True),
    "JPEG 2000": encode(ZERO_ONE, "JPEG2000"),
    "JPEG XL": imagecodecs.jpegxl_encode(ZERO_ONE, lossless=True),
    "JPEG-LS": imagecodecs.jpegls_encode(ZERO_ONE),
    "PGM": b"P5 90 60 255\n" + ZERO_ONE.tobytes(),
    "text PGM": b"P2 90 60 255\n" + b" ".join(b"%d" % value for value in ZERO_ONE.flat) + b"\n",
}


@pytest.mark.parametrize("name", ZERO_ONE_FILES)
def test_file_of_0_and_1_is_refused_with_what_to_do(name) -> None:
    data = ZERO_ONE_FILES[name]
    message = "the largest value of the mask is 1, but 255 is inside the .* multiply them by 255$"
    with pytest.raises(UnusableMask, match=message):
        load_mask(data)
    if name not in ("JPEG XL", "JPEG-LS"):
        with pytest.raises(UnusableMask, match=message):
            load_mask(Image.open(io.BytesIO(data)))
    assert decode_map(data).max() == 1  # a network's map may be nearly empty


def test_mask_of_1_everywhere_is_refused_and_of_0_and_255_is_not() -> None:
    with pytest.raises(UnusableMask, match="multiply them by 255"):
        decode_mask(encode(np.ones((60, 90), np.uint8)))
    for level in (0, 2, 15, 51, 255):
        assert (decode_mask(encode(np.full((60, 90), level, np.uint8))) == level).all()


def test_arrays_are_checked_as_files_are() -> None:
    for mask in (ZERO_ONE, np.ones((60, 90), np.uint8)):
        with pytest.raises(UnusableMask, match="multiply them by 255"):
            load_mask(mask)
        with pytest.raises(UnusableMask, match="multiply them by 255"):
            check_mask(mask)
    assert np.array_equal(load_mask(INSIDE), MASK)
    assert load_mask(MASK) is MASK
    assert not load_mask(np.zeros((60, 90), bool)).any()
    check_mask(np.zeros((60, 90), np.uint8))
    with pytest.raises(ImageReadError, match="an array of uint16"):
        load_mask(MASK.astype(np.uint16))
    with pytest.raises(ImageReadError, match="an array of float64"):
        check_mask(MASK / 255)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (encode_16_bits(ZERO_ONE.astype("u2")), "is 1, but 65535 .* multiply them by 65535"),
        (encode_16_bits(MASK.astype("u2")), "is 255, but 65535 .* 0 to 255, multiply them by 257"),
        (encode_16_bits(MASK.astype("u2") // 2), "is 127, but 65535 .* multiply them by 257"),
        (encode_16_bits(INSIDE * np.uint16(1023)), "is 1023, but 65535 .* by 64.0616"),
        (encode_16_bits(INSIDE * np.uint16(4095)), "is 4095, but 65535 .* by 16.0037"),
        (encode_16_bits(np.dstack([MASK.astype("u2")] * 3)), "is 255, but 65535"),
        (tiff(MASK.astype("u2"), bitspersample=12), "is 255, but 4095 .* by 16.0588"),
        (tiff(ZERO_ONE.astype("u2"), bitspersample=10), "is 1, but 1023 .* by 1023"),
        (tiff(INSIDE * np.uint16(10), bitspersample=12), "is 10, but 4095 .* by 16.0588"),
        (imagecodecs.jpegxl_encode(MASK.astype("u2"), lossless=True), "is 255, but 65535"),
        (b"P5 90 60 1023\n" + MASK.astype(">u2").tobytes(), "is 255, but 1023 .* by 4.01176"),
    ],
)
def test_values_of_fewer_bits_than_the_file_are_refused(file, message) -> None:
    with pytest.raises(UnusableMask, match=message):
        decode_mask(file)


def test_deep_pillow_images_are_checked_before_they_are_rounded() -> None:
    for mask in (ZERO_ONE, MASK):
        for deep in (np.uint16, np.int32):
            with pytest.raises(UnusableMask, match=f"is {mask.max()}, but 65535"):
                convert_mask(Image.fromarray(mask.astype(deep)))
    deep = Image.fromarray(MASK.astype(np.uint16) * 257)
    assert np.array_equal(convert_mask(deep), MASK)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (encode_16_bits(MASK.astype("u2") * 257), MASK),
        (encode_16_bits(np.zeros((60, 90), np.uint16)), MASK * 0),
        (encode_16_bits(INSIDE * np.uint16(40 * 257)), INSIDE * np.uint8(40)),
        (encode_16_bits(INSIDE * np.uint16(40_000)), INSIDE * np.uint8(156)),
        (tiff(INSIDE * np.uint16(4095), bitspersample=12), MASK),
        (b"P5 90 60 1\n" + ZERO_ONE.tobytes(), MASK),
        (save(Image.fromarray(INSIDE)), MASK),  # 1 bit
        (tiff(INSIDE, photometric="minisblack"), MASK),
    ],
)
def test_levels_of_other_depths_are_scaled(file, expected) -> None:
    assert np.array_equal(decode_mask(file), expected)


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "BMP", "TIFF", "loaded"])
@pytest.mark.parametrize(
    "labels", [INSIDE * 1, INSIDE * 15, np.where(INSIDE, 2, 255), INSIDE * 200]
)
def test_palette_of_label_colours_is_refused(file_format, labels) -> None:
    image = indexed(labels, label_colours())
    source = image if file_format == "loaded" else save(image, file_format)
    # In a GIF, Pillow keeps the colours that are used.
    with pytest.raises(UnusableMask, match="a palette of colours, like a map of labels"):
        load_mask(source)


def test_grey_label_of_a_palette_of_colours_is_refused() -> None:
    # Label 7 of PASCAL VOC is (128, 128, 128).
    with pytest.raises(UnusableMask, match="palette image with a palette of colours, .* labels"):
        decode_mask(save(indexed(INSIDE * 7, label_colours())))


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette_of_greys_is_read_by_its_greys(file_format) -> None:
    # Optimisers of PNG number the few greys of a mask in any order.
    greys = np.array([255, 0, 200, 77], np.uint8)
    labels = np.random.default_rng(4).integers(0, 4, (60, 90))
    image = indexed(labels, np.repeat(greys[:, None], 3, axis=1))
    assert np.array_equal(decode_mask(save(image, file_format)), greys[labels])
    assert np.array_equal(convert_mask(image), greys[labels])


def test_black_and_white_is_read_from_any_palette() -> None:
    drawing = np.array([[0, 0, 0], [200, 30, 30], [30, 30, 200], [255, 255, 255]])
    assert np.array_equal(decode_mask(save(indexed(INSIDE * 3, drawing))), MASK)
    web = Image.fromarray(np.dstack([MASK] * 3)).convert("P", palette=Image.Palette.WEB)
    assert np.array_equal(decode_mask(save(web)), MASK)
    # A frame of a labelled video that shows no object has no region of interest.
    assert not decode_mask(save(indexed(INSIDE * 0, label_colours()))).any()


@pytest.mark.parametrize("label", [1, 2, 3, 4, 5, 8, 15, 64])
def test_label_colours_without_a_palette_are_refused(label) -> None:
    rgb = label_colours()[INSIDE * label]
    with pytest.raises(UnusableMask, match=f"such as R {rgb[20, 40, 0]}, G {rgb[20, 40, 1]}, B"):
        decode_mask(encode(rgb))
    with pytest.raises(UnusableMask, match="the mask has colours"):
        decode_mask(encode(rgb, "JPEG", quality=70))


def test_numbers_of_labels_in_the_red_channel_are_refused() -> None:
    for number in (2, 3, 5, 40):
        with pytest.raises(UnusableMask):
            decode_mask(encode(INSIDE[..., None] * np.array([number, 0, 0], np.uint8)))


def test_photograph_and_heat_map_are_refused(photos) -> None:
    with pytest.raises(UnusableMask, match="the mask has colours"):
        decode_mask(encode(photos["coffee"]))
    level = blurred(MASK, 10) / 255.0
    heat = np.stack([level, 1 - abs(2 * level - 1), 1 - level], axis=2) * 255
    with pytest.raises(UnusableMask, match="the mask has colours"):
        decode_mask(encode(heat.astype(np.uint8)))


@pytest.mark.parametrize("mask", [MASK, blurred(MASK, 12)], ids=["hard", "soft"])
@pytest.mark.parametrize("quality", [5, 30, 75, 95])
@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossy_masks_are_read(mask, quality, file_format, channels) -> None:
    pixels = mask if channels == 1 else np.dstack([mask] * 3)
    decoded = decode_mask(encode(pixels, file_format, quality=quality))
    assert np.abs(decoded.astype(float) - mask).mean() < (15 if quality == 5 else 3)


def test_grey_cmyk_mask_is_read_by_its_luma() -> None:
    cmyk = Image.fromarray(np.dstack([MASK] * 3)).convert("CMYK")
    decoded = decode_mask(save(cmyk, "JPEG", quality=95))
    assert np.abs(decoded.astype(int) - MASK).max() <= 8


@pytest.mark.parametrize("label", [2, 3, 15, 31])
def test_map_of_one_label_is_refused(label) -> None:
    labels = INSIDE * np.uint8(label)
    message = f"hard edges and no value above {label} of 255, like a map of label numbers; give .*"
    for refused in (labels, encode(labels)):
        with pytest.raises(UnusableMask, match=message):
            load_mask(refused)


def test_map_of_several_labels_is_refused(photos) -> None:
    # The bright regions of a photograph, numbered from 1 in the order of their columns.
    bright = blurred(photos["coffee"][..., 1], 3) > 150
    for count in (2, 4, 10):
        number = 1 + np.arange(bright.shape[1]) * count // bright.shape[1]
        labels = (bright * number).astype(np.uint8)
        assert labels.max() == count
        with pytest.raises(UnusableMask, match="map of label numbers"):
            decode_mask(encode(labels))


@pytest.mark.parametrize("height", [1, 5, 12, 20])
@pytest.mark.parametrize("width", [20, 40, 100])
def test_dim_mask_of_a_small_object_under_the_box_filter_is_read(height, width) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[50 : 50 + height, 60 : 60 + width] = 255
    soft = blurred(mask, 25)
    assert 1 < soft.max() < 120
    assert np.array_equal(load_mask(soft), soft)


def test_dim_gaussian_masks_are_read() -> None:
    y, x = np.mgrid[:120, :160]
    for peak in (2, 3, 5, 15, 31):
        for sigma in (4, 10, 30):
            level = np.exp(-((y - 60) ** 2 + (x - 70) ** 2) / (2 * sigma**2))
            mask = (peak * level).round().astype(np.uint8)
            assert np.array_equal(load_mask(encode(mask)), mask)


def test_masks_made_from_photographs_are_read(photos) -> None:
    for photo in photos.values():
        grey = np.ascontiguousarray(photo[..., 1])
        for mask in (grey, grey // 4, (grey > 128) * np.uint8(255), 255 - grey):
            assert np.array_equal(decode_mask(encode(mask)), mask)


def test_transparent_mask_is_refused_as_transparent() -> None:
    # Programs that export a selection write black pixels whose alpha is the mask.
    alpha = Image.merge("LA", (Image.new("L", (90, 60)), Image.fromarray(MASK)))
    with pytest.raises(ImageReadError, match="the mask has transparent pixels"):
        decode_mask(save(alpha))
