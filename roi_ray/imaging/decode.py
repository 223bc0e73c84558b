"""Encoded bytes -> 8-bit sRGB pixels, under one declared policy.

What a viewer would show is what is scored:

- The orientation in EXIF is applied; EXIF that cannot be read is ignored, and XMP's is.
- An embedded ICC profile other than sRGB is converted to sRGB (relative colorimetric, with black
  point compensation). Which it is, is seen from what it does, as names mislead ("Linear sRGB"). A
  profile that cannot be used is ignored, as browsers do; so are the gamma and the primaries that a
  PNG may have in place of one.
- CMYK is converted through its profile, else by Pillow's plain formula.
- Grey becomes three equal channels; a palette is looked up.
- Alpha is composited over white. One colour of 16 bits a channel that stands for transparency is
  refused, as it is not to be found in the upper 8. So is a mask that is transparent anywhere.
- Of 16 bits a channel the upper 8 count; floating-point pixels are refused.
- Of an animation, or a file of several pages, the first image counts; around a first frame that is
  smaller than its GIF, the background's colour.

Formats: those of `FORMATS`, decoded by Pillow. Others are refused, whatever Pillow could open:
fewer decoders see other people's bytes.

Whatever the bytes are, the outcome is pixels or an `ImageError`, in a time and memory that follow
from the file's size and `max_pixels`. `roi_ray.imaging.limits` refuses files that would break that.
"""

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from roi_ray.errors import ImageError, ImageReadError, ImageTooLarge
from roi_ray.imaging import limits
from roi_ray.imaging.icc import convert_to_srgb, read_jpeg2000_profile
from roi_ray.imaging.pixels import Pixels
from roi_ray.settings import MAX_PIXELS

FORMATS = ("PNG", "JPEG", "WEBP", "JPEG2000", "AVIF", "TIFF", "BMP", "GIF", "PPM")

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes an orientation of EXIF."""

_TIFF_TILE = 1 << 20

_XMP = ("xmp", "XML:com.adobe.xmp")
"""Where Pillow keeps it."""

_GREY_STEPS = {"L;2": 85, "L;4": 17}
"""Between the levels of a PNG's grey of 2 and 4 bits, once they are levels of 8."""

_lock = threading.Lock()
_decoding = 0
_outer = warnings.catch_warnings()
_outer_limit: int | None = None


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image file.

    Args:
        data: the file's content.
        max_pixels: width times height that is still decoded; checked before any pixel is.

    Returns:
        uint8 array of shape (height, width, 3): sRGB, 0..255.

    Raises:
        ImageReadError: empty, truncated, or not an image of a known format.
        ImageTooLarge: more than `max_pixels` pixels.
    """
    return _decode(data, max_pixels, _to_rgb)


def decode_mask(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode a mask: an image of one channel, or one whose luma is meant.

    Returns:
        uint8 array of shape (height, width): 0 outside the region of interest, 255 inside.

    Raises:
        ImageReadError, ImageTooLarge: as `decode_image`.
    """
    return _decode(data, max_pixels, _to_mask)


def decode_rgba(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image with its alpha channel: uint8, (H, W, 4), 255 = opaque."""
    return _decode(data, max_pixels, lambda image: image.convert("RGBA"))


def _decode(data: bytes, max_pixels: int, convert: Callable[[Image.Image], Image.Image]) -> Pixels:
    if not data:
        raise ImageReadError("the file is empty (0 bytes)")
    try:
        limits.check_decoding_cost(data)
        with _pillow(max_pixels), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_pixels(image, max_pixels)
            if image.format == "JPEG2000" and (profile := read_jpeg2000_profile(data)):
                image.info["icc_profile"] = profile
            return np.asarray(convert(image))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"{error}; --max-pixels allows {max_pixels}") from error
    except UnidentifiedImageError as error:
        raise ImageReadError(f"not an image of a known format ({', '.join(FORMATS)})") from error
    except Exception as error:  # there is hardly a type that some decoder does not raise
        raise ImageReadError(f"cannot be decoded: {str(error) or type(error).__name__}") from error


@contextmanager
def _pillow(max_pixels: int) -> Iterator[None]:
    """Pillow with this limit, and without its warnings about files.

    Both belong to the process: the first thread in sets them, the last one out sets them back.
    """
    global _decoding, _outer, _outer_limit  # noqa: PLW0603
    with _lock:
        if not _decoding:
            _outer, _outer_limit = warnings.catch_warnings(), Image.MAX_IMAGE_PIXELS
            _outer.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\b")
            Image.MAX_IMAGE_PIXELS = max_pixels
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, max_pixels)
        _decoding += 1
    try:
        yield
    finally:
        with _lock:
            _decoding -= 1
            if not _decoding:
                Image.MAX_IMAGE_PIXELS = _outer_limit
                _outer.__exit__(None, None, None)


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise ImageTooLarge(
            f"{image.width} x {image.height} is {image.width * image.height} pixels, "
            f"more than the {max_pixels} that --max-pixels allows"
        )
    # A tile of a TIFF is inflated whole, and may be larger than the image.
    tags = getattr(image, "tag_v2", {})
    width, height = (tags.get(tag, 0) for tag in (322, 323))
    if width * height > max(max_pixels, _TIFF_TILE):
        raise ImageTooLarge(f"tiles of {width} x {height}; --max-pixels allows {max_pixels}")


def _to_rgb(image: Image.Image) -> Image.Image:
    _check_depth(image)
    profile = image.info.get("icc_profile")
    image = _eight_bit(_upright(image))
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        # A profile of grey is for grey.
        grey = image.mode in ("L", "LA")
        colour = image.getchannel("L") if grey else rgba.convert("RGB")
        white = Image.new("RGB", image.size, "white")
        return Image.composite(convert_to_srgb(colour, profile), white, rgba.getchannel("A"))
    return convert_to_srgb(image, profile)


def _to_mask(image: Image.Image) -> Image.Image:
    _check_depth(image)
    image = _eight_bit(_upright(image))
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise ImageReadError("a mask that is transparent somewhere: white is inside, black outside")
    return image.convert("L")


def _check_depth(image: Image.Image) -> None:
    keyed = image.format == "PNG" and "transparency" in image.info
    kinds = [tile.args for tile in getattr(image, "tile", ())] if keyed else []
    if any(";16" in kind for kind in kinds):
        raise ImageReadError("one colour of 16 bits a channel stands for transparency: give alpha")
    for kind in kinds[:1]:  # Pillow brings the pixels to 8 bits, and leaves this as it is
        image.info["transparency"] *= _GREY_STEPS.get(kind, 1)
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return
    depth, signed, white_is_zero = tags.get(258, (1,)), tags.get(339, (1,)), tags.get(262) == 0
    if image.mode == "L" and 2 in signed:
        raise ImageReadError("a grey TIFF of signed values")
    # What it holds of more than 8 bits, Pillow gives as it is, whatever its values mean.
    if not image.mode.startswith("I"):
        return
    if depth != (16,) or signed != (1,) or white_is_zero:
        raise ImageReadError(
            f"a grey TIFF of {depth[0]} bits"
            + (", signed or floating" if signed != (1,) else "")
            + (", in which 0 is white" if white_is_zero else "")
            + "; of more than 8 bits, only 16 unsigned ones from black to white are read"
        )


def _upright(image: Image.Image) -> Image.Image:
    for name in _XMP:  # Pillow would take its orientation where EXIF has none
        image.info.pop(name, None)
    image.load()
    try:
        method = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # EXIF that cannot be read is ignored: see the policy above
        return image
    return image if method is None else image.transpose(method)


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # grey that has been multiplied by its alpha
        return image.convert("LA")
    if image.mode == "F":
        raise ImageReadError("floating-point pixels have no declared range")
    if image.mode == "I" or image.mode in _SIXTEEN_BIT:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ImageReadError("more than 16 bits a channel")
        return Image.fromarray((values >> 8).astype(np.uint8))
    return image
