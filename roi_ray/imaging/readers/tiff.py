"""Read TIFF and BigTIFF: unsigned samples of 1 to 16 bits, whatever their arrangement.

Pillow and libtiff misread many layouts, so that the directory is parsed by `tiff_directory.py`,
checked by `tiff_layout.py`, and the strips or tiles are decoded by `tiff_segments.py`.
"""

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import ImageReadError
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.tiff_directory import Directory, Tag, read_directories
from roi_ray.imaging.readers.tiff_layout import (
    BLACK_IS_ZERO,
    COLOUR_SAMPLES,
    PALETTE,
    RGB,
    WHITE_IS_ZERO,
    Layout,
    read_layout,
)
from roi_ray.imaging.readers.tiff_segments import read_segments
from roi_ray.imaging.samples import Samples, scale, tiles

_RAW = (32803, 34892)
"""PhotometricInterpretation of a camera's raw files: colour filter array and linear raw."""

_ASSOCIATED, _UNASSOCIATED = 1, (2, 999)  # Corel Draw 10 writes 999
_REDUCED, _MASK = 1, 4
"""Bits of NewSubfileType."""


def read_tiff(data: bytes, max_pixels: int) -> Raster:
    """Read the first full-size image of a TIFF.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded.

    Raises:
        ImageReadError: the file is damaged, or its samples are outside the pixel policy.
        ImageTooLarge: the image, or the tiles that it consists of, have too many pixels.
        UnsupportedColour: the colours are of another kind than grey, RGB, YCbCr or CMYK.
    """
    directory = _choose_directory(data)
    layout = read_layout(directory, max_pixels)
    alpha, is_premultiplied = _find_alpha(directory, layout)
    stored = read_segments(data, directory, layout)
    samples = _select_channels(stored, directory, layout, alpha)
    if is_premultiplied:
        samples = _divide_by_alpha(samples, layout.bits)
    orientation = _peek(directory, Tag.ORIENTATION, 1)
    return Raster(
        samples,
        bit_depth=max(8, layout.bits),
        has_alpha=alpha is not None,
        icc_profile=_read_profile(directory),
        orientation=orientation if orientation in range(1, 9) else 1,
        palette=_read_palette(directory, layout.bits) if layout.photometric == PALETTE else None,
    )


def _peek(directory: Directory, tag: Tag, default: int) -> int:
    """Read a number that the pixels do not need; the default if it cannot be read."""
    try:
        return directory.read_number(tag, default)
    except ImageReadError:
        return default


def _read_profile(directory: Directory) -> bytes | None:
    try:
        return directory.read_bytes(Tag.ICC_PROFILE) or None
    except ImageReadError:  # an unusable profile is ignored by policy
        return None


def _choose_directory(data: bytes) -> Directory:
    """Choose the first directory that is neither a thumbnail nor a mask; refuse raw files."""
    directories = read_directories(data)
    for directory in directories:
        is_raw = _peek(directory, Tag.PHOTOMETRIC, -1) in _RAW
        if is_raw or Tag.DNG_VERSION in directory.entries or data[8:11] == b"CR\2":
            raise ImageReadError("a camera's raw file; develop it to a PNG or a TIFF of 16 bits")
    for directory in directories:
        kind = _peek(directory, Tag.NEW_SUBFILE_TYPE, 0)
        if not kind & (_REDUCED | _MASK) and _peek(directory, Tag.SUBFILE_TYPE, 0) != 2:
            return directory
    return directories[0]


def _find_alpha(directory: Directory, layout: Layout) -> tuple[int | None, bool]:
    """Find the index of the alpha sample, and whether colours are premultiplied by it."""
    colours = COLOUR_SAMPLES[layout.photometric]
    if layout.samples == colours:
        return None, False
    meanings = directory.read_numbers(Tag.EXTRA_SAMPLES)[: layout.samples - colours].tolist()
    if not meanings:
        if (layout.samples, colours) == (4, 3):  # many writers leave it out of RGBA
            return 3, False
        raise ImageReadError(
            f"the TIFF has {layout.samples} samples per pixel and does not say what the last mean "
            "(ExtraSamples); save it as PNG"
        )
    for index, meaning in enumerate(meanings, colours):
        if meaning in _UNASSOCIATED:
            return index, False
        if meaning == _ASSOCIATED:
            if layout.photometric not in (BLACK_IS_ZERO, RGB):
                raise ImageReadError(
                    "a TIFF whose colours are premultiplied by alpha and not RGB or grey with 0 as "
                    "black is not supported; save it as PNG"
                )
            return index, True
    return None, False


def _select_channels(
    stored: Samples, directory: Directory, layout: Layout, alpha: int | None
) -> Samples:
    """Keep colours and alpha, with 0 as black, palettes applied, and at least 8 bits."""
    colours = COLOUR_SAMPLES[layout.photometric]
    white = (1 << layout.bits) - 1
    kept = stored[..., : colours + (alpha is not None)]
    if alpha is not None and alpha != colours:
        kept = stored[..., [*range(colours), alpha]]
    if layout.photometric == WHITE_IS_ZERO:
        kept = kept.copy()
        kept[..., 0] = white - kept[..., 0]
    if layout.photometric == PALETTE:
        rgb = _read_palette(directory, layout.bits)[kept[..., 0]]
        return rgb if alpha is None else np.dstack([rgb, scale(kept[..., 1], white, 8)])
    return scale(kept, white, 8) if white < 255 else kept


def _read_palette(directory: Directory, bits: int) -> NDArray[np.uint8]:
    """Read the palette, (colours, 3), of 8 bits."""
    values: Samples = directory.read_numbers(Tag.COLOR_MAP)
    if bits > 8 or values.size != 3 << bits:
        raise ImageReadError(
            f"a palette TIFF of {bits} bits with {values.size} palette values is not supported; "
            "save it as RGB"
        )
    # Palettes have 16 bits. Some writers store 8 in the low byte (libtiff's rule), others in the
    # high byte alone.
    if values.max() > 255:
        is_high_byte = not (values & 255).any()
        values = values >> 8 if is_high_byte else (values * np.uint64(255) + 32767) // 65535
    return values.astype(np.uint8).reshape(3, -1).T


def _divide_by_alpha(samples: Samples, bits: int) -> Samples:
    """Undo the multiplication of colours by alpha."""
    white = np.uint32((1 << max(8, bits)) - 1)
    result = samples.copy()
    for tile in tiles(samples):
        alpha = samples[tile][..., -1:].astype(np.uint32)
        divided = (samples[tile][..., :-1] * white + alpha // 2) // np.maximum(alpha, 1)
        result[tile][..., :-1] = np.minimum(divided, white)
    return result
