"""Rasters to sRGB, masks and RGBA: alpha, orientation and depth, against arithmetic in float64."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from roi_ray.errors import ImageReadError
from roi_ray.imaging.convert import to_map, to_mask, to_rgba, to_srgb
from roi_ray.imaging.decode import convert_image, convert_mask, decode_image
from roi_ray.imaging.pixels import HighBitDepthImage, bit_depth_of
from roi_ray.imaging.raster import Raster

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Pillow's transposition that turns an image upright, by its EXIF orientation."""


def deepen(pixels: np.ndarray, bit_depth: int) -> np.ndarray:
    """Return samples of a bit depth, with detail below the 8 bits of a photograph."""
    detail = np.random.default_rng(0).integers(-128, 128, pixels.shape)
    values = (pixels.astype(int) * 257 + detail).clip(0, 65535) >> (16 - bit_depth)
    return values.astype(np.uint8 if bit_depth == 8 else np.uint16)


@pytest.mark.parametrize("bit_depth", [8, 10, 12, 16])
def test_opaque_raster_keeps_its_samples_and_depth(photos, bit_depth) -> None:
    samples = deepen(photos["coffee"][:90, :70], bit_depth)
    image = to_srgb(Raster(samples, bit_depth))
    assert np.array_equal(image, samples) and bit_depth_of(image) == bit_depth
    assert isinstance(image, HighBitDepthImage) == (bit_depth > 8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bit_depth", [8, 10, 12, 16])
def test_alpha_is_composited_over_white_at_the_files_depth(photos, bit_depth, channels) -> None:
    samples = deepen(photos["coffee"][:90, :70, [0, 1, 2, 0][-channels - 1 :]], bit_depth)
    white = float((1 << bit_depth) - 1)
    samples[:2, ..., -1], samples[2:4, ..., -1] = 0, int(white)
    image = to_srgb(Raster(samples, bit_depth, has_alpha=True))
    colour, alpha = samples[..., :-1].astype(float), samples[..., -1:].astype(float)
    expected = np.rint((colour * alpha + white * (white - alpha)) / white)
    assert np.array_equal(image, np.broadcast_to(expected, image.shape))
    assert (image[:2] == white).all()


@pytest.mark.parametrize("bit_depth", [8, 12])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_turns_samples_and_masks_as_pillow_does(photos, orientation, bit_depth) -> None:
    pixels = photos["coffee"][:300, :170]  # larger than a tile, and not square
    upright = Image.fromarray(pixels)
    if orientation > 1:
        upright = upright.transpose(TURNS[orientation])
    samples = pixels if bit_depth == 8 else pixels.astype(np.uint16) * 16
    image = to_srgb(Raster(samples, bit_depth, orientation=orientation))
    assert np.array_equal(image, np.asarray(upright) * (1 if bit_depth == 8 else np.uint16(16)))
    luma = to_map(Raster(pixels, orientation=orientation))
    assert np.array_equal(luma, np.asarray(upright.convert("L")))
    mask = to_mask(Raster(np.ascontiguousarray(pixels[..., :1]), orientation=orientation))
    assert np.array_equal(mask, np.asarray(upright)[..., 0])


def test_deep_mask_is_rounded_to_8_bits() -> None:
    samples = np.array([[[0], [1023]], [[512], [2]]], np.uint16)
    assert to_mask(Raster(samples, 10)).tolist() == [[0, 255], [128, 0]]
    with pytest.raises(ImageReadError, match="transparent"):
        to_mask(Raster(np.repeat(samples, 2, axis=2), 10, has_alpha=True))


def test_rgba_keeps_alpha_and_has_8_bits(photos) -> None:
    pixels = photos["coffee"][:20, :30]
    assert np.array_equal(to_rgba(Raster(pixels))[..., :3], pixels)
    grey_alpha = np.array([[[65535, 32768]]], np.uint16)
    assert to_rgba(Raster(grey_alpha, 16, has_alpha=True)).tolist() == [[[255, 255, 255, 128]]]


def test_open_pillow_image_is_decoded_from_its_file(tmp_path, photos) -> None:
    # Pillow's own decoder reduces an RGB PNG of 16 bits to 8.
    wide = deepen(photos["coffee"][:40, :50], 16)
    path = tmp_path / "wide.png"
    path.write_bytes(imagecodecs.png_encode(wide))
    with Image.open(path) as image:
        converted = convert_image(image)
        assert isinstance(converted, HighBitDepthImage) and np.array_equal(converted, wide)
        image.load()  # the caller can still use it
        assert np.array_equal(convert_image(image), (wide >> 8).astype(np.uint8))


def test_later_frame_of_an_open_pillow_image_is_converted(photos) -> None:
    first, second = (
        Image.fromarray(photos[name][:64, :64]).convert("L") for name in ("coffee", "rocket")
    )
    stream = io.BytesIO()
    first.save(stream, "PNG", save_all=True, append_images=[second])
    with Image.open(stream) as image:
        image.seek(1)
        assert np.array_equal(convert_image(image), np.asarray(second.convert("RGB")))
    with Image.open(stream) as image:
        assert np.array_equal(convert_image(image), decode_image(stream.getvalue()))
        assert np.array_equal(convert_mask(image), np.asarray(first))


def test_loaded_pillow_image_of_unknown_range_is_refused(photos) -> None:
    deep = deepen(photos["coffee"][:40, :50, 1], 12)
    tiff, jp2 = io.BytesIO(), imagecodecs.jpeg2k_encode(deep, codecformat="jp2", bitspersample=12)
    tifffile.imwrite(tiff, deep, bitspersample=12)
    for data in (tiff.getvalue(), jp2):
        with Image.open(io.BytesIO(data)) as image:
            opened = convert_image(image)
            assert bit_depth_of(opened) == 12 and np.array_equal(opened[..., 0], deep)
            image.load()
            with pytest.raises(ImageReadError, match="give its path or its bytes"):
                convert_image(image)
    wide = deepen(photos["coffee"][:40, :50, 1], 16)
    assert np.array_equal(convert_image(Image.fromarray(wide))[..., 0], wide)
