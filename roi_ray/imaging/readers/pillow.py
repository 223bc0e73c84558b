"""Read what Pillow decodes exactly: 8 bits per channel, of most formats."""

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from roi_ray.errors import ImageReadError, ImageTooLarge
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.samples import tiles

_TILE_PIXELS = 1 << 18
"""Pixels that are copied from Pillow to numpy at a time."""

_16_BIT_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_XMP_KEYS = ("xmp", "XML:com.adobe.xmp")

_GREY_FACTORS = {"L;2": 85, "L;4": 17}
"""Factor from a grey level of 2 or 4 bits, as a PNG stores it, to one of 8 bits."""

# Pillow's warning filters and pixel limit belong to the process: see `_limit_pillow`.
_lock = threading.Lock()
_active_decodes = 0
_saved_warnings = warnings.catch_warnings()
_saved_limit: int | None = None


def read_pillow(data: bytes, max_pixels: int, formats: tuple[str, ...]) -> Raster:
    """Decode a file by Pillow.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded.
        formats: Pillow's names of the formats that the file may have.

    Raises:
        ImageReadError, ImageTooLarge: see `decode_image`.
    """
    with open_pillow(data, max_pixels, formats) as image:
        return read_pillow_image(image)


@contextmanager
def open_pillow(data: bytes, max_pixels: int, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Open a file by Pillow, without decoding its pixels; see `read_pillow`."""
    try:
        with _limit_pillow(max_pixels), Image.open(io.BytesIO(data), formats=formats) as image:
            check_pixel_count(image.width, image.height, max_pixels)
            yield image
    except UnidentifiedImageError as error:  # its message is an address in memory
        raise ImageReadError(
            f"cannot be decoded: the {formats[0]} header is damaged or truncated"
        ) from error


def read_pillow_image(image: Image.Image) -> Raster:
    """Read the samples of a Pillow image of any mode; it is loaded if it is only open.

    Raises:
        ImageReadError: the samples have no known range, or more than 16 bits.
    """
    _check_tiff_samples(image)
    _scale_transparent_level(image)
    orientation = _load_and_read_orientation(image)
    profile = read_profile(image)
    if image.mode == "F":
        raise ImageReadError(
            "floating-point samples are not supported: their range is unknown; save it with 16 bits"
        )
    if image.mode in _16_BIT_MODES:
        samples = np.asarray(image)
        if samples.min() < 0 or samples.max() > 0xFFFF:
            raise ImageReadError(
                "more than 16 bits per channel are not supported; save it with 16 bits"
            )
        wide = samples.astype(np.uint16)[..., None]
        return Raster(wide, 16, icc_profile=profile, orientation=orientation)
    has_alpha = image.has_transparency_data
    if image.mode in ("1", "L", "LA", "La"):
        mode = "LA" if has_alpha else "L"
    elif image.mode == "CMYK":
        mode = "CMYK"
    else:
        mode = "RGBA" if has_alpha else "RGB"
    return Raster(
        _to_array(image, mode),
        has_alpha=has_alpha,
        icc_profile=profile,
        orientation=orientation,
        palette=_read_palette(image),
    )


def read_profile(image: Image.Image) -> bytes | None:
    """Return the ICC profile that Pillow has found; None if there is none."""
    profile = image.info.get("icc_profile")
    # Under this key, Pillow also stores a PNG's text chunk of the same name, as a `str`.
    return profile if isinstance(profile, bytes) and profile else None


def _read_palette(image: Image.Image) -> NDArray[np.uint8] | None:
    """Return the colours of a palette image, (n, 3)."""
    palette = image.getpalette("RGB") if image.mode in ("P", "PA") else None
    return np.array(palette, np.uint8).reshape(-1, 3) if palette else None


def _to_array(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    """Convert and copy an image in tiles: Pillow's own conversion and export need its memory again.

    Args:
        image: a loaded image.
        mode: Pillow's mode to convert it to.

    Returns:
        (height, width, channels of the mode).
    """
    samples = np.empty((image.height, image.width, Image.getmodebands(mode)), np.uint8)
    for rows, columns in tiles(samples, _TILE_PIXELS):
        part = image.crop((columns.start, rows.start, columns.stop, rows.stop))
        part = part if part.mode == mode else part.convert(mode)
        samples[rows, columns] = np.asarray(part).reshape(part.height, part.width, -1)
    return samples


def _check_tiff_samples(image: Image.Image) -> None:
    """Refuse an image that a caller opened, if Pillow gives its samples without their range."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        is_deep = image.mode in _16_BIT_MODES
        depth, is_signed = tags.get(_BITS_PER_SAMPLE, (1,)), 2 in tags.get(_SAMPLE_FORMAT, (1,))
        is_misread = is_signed or (is_deep and (depth != (16,) or tags.get(_PHOTOMETRIC) == 0))
    else:
        is_misread = image.format == "JPEG2000" and image.mode in _16_BIT_MODES
    if is_misread:
        raise ImageReadError(
            f"Pillow does not tell the range of this {image.format}'s samples; give its path or "
            "its bytes instead of a loaded image"
        )


def _scale_transparent_level(image: Image.Image) -> None:
    """Scale a PNG's transparent grey level as Pillow scales the pixels, to 8 bits."""
    if image.format == "PNG" and isinstance(image.info.get("transparency"), int):
        for tile in getattr(image, "tile", [])[:1]:
            image.info["transparency"] *= _GREY_FACTORS.get(tile.args, 1)


def _load_and_read_orientation(image: Image.Image) -> int:
    """Load an image, and return its EXIF orientation, 1 to 8, that Pillow has not applied."""
    # Where EXIF has no orientation, Pillow takes XMP's, which the policy ignores. Loading a TIFF
    # applies it, and loading a PNG can add the XMP that follows the pixels.
    xmp = remove_xmp(image)
    try:
        image.load()
        xmp |= remove_xmp(image)
        return read_orientation(image.getexif)
    finally:
        image.info.update(xmp)


def remove_xmp(image: Image.Image) -> dict[str | tuple[int, int], object]:
    """Remove the XMP of an image, and return it."""
    return {key: image.info.pop(key) for key in _XMP_KEYS if key in image.info}


def read_orientation(load_exif: Callable[[], Image.Exif]) -> int:
    """Return the orientation, 1 to 8, of some EXIF data; 1 if it cannot be read."""
    try:
        orientation = load_exif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # unreadable EXIF is ignored by policy, and can raise anything
        return 1
    return orientation if orientation in range(1, 9) else 1


@contextmanager
def _limit_pillow(max_pixels: int) -> Iterator[None]:
    """Set Pillow's pixel limit, and silence its warnings about files.

    Both settings belong to the process. The first thread to enter saves and changes them; the last
    to leave restores them.

    Raises:
        ImageTooLarge: Pillow finds more pixels than `max_pixels`.
    """
    global _active_decodes, _saved_warnings, _saved_limit  # noqa: PLW0603
    with _lock:
        if not _active_decodes:
            _saved_warnings, _saved_limit = warnings.catch_warnings(), Image.MAX_IMAGE_PIXELS
            _saved_warnings.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\b")
            Image.MAX_IMAGE_PIXELS = max_pixels
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, max_pixels)
        _active_decodes += 1
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(
            f"more than the {max_pixels} pixels that --max-pixels (max_pixels) allows"
        ) from error
    finally:
        with _lock:
            _active_decodes -= 1
            if not _active_decodes:
                Image.MAX_IMAGE_PIXELS = _saved_limit
                _saved_warnings.__exit__(None, None, None)
