"""Convert an image's colours to sRGB by its ICC profile.

Profiles are classified by probing them, because their names are unreliable ("Linear sRGB").
"""

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_SRGB = ImageCms.createProfile("sRGB")
_RAMP = np.arange(0, 256, 15, np.uint8)
_PROBES = {
    "L": _RAMP[None],
    "RGB": np.stack(np.meshgrid(_RAMP[::4], _RAMP[::4], _RAMP[::4]), -1).reshape(1, -1, 3),
}
"""Colours that are converted to find out whether a profile is sRGB, by Pillow mode."""

_TOLERANCE = 3
"""Of 255: the largest difference between the tables of an sRGB profile and the sRGB formula."""


def read_jpeg2000_profile(data: bytes) -> bytes | None:
    """Read the ICC profile from a JP2 file's colour box, which Pillow ignores.

    ISO/IEC 15444-1, I.5.3.3.

    Returns:
        the profile, or None if the file has none.
    """
    header = next((content for kind, content in _read_boxes(data) if kind == b"jp2h"), b"")
    # Readers use the first colour box only; a method of 2 or 3 means that it holds a profile.
    colour = next((content for kind, content in _read_boxes(header) if kind == b"colr"), b"")
    return colour[3:] if colour[:1] in (b"\2", b"\3") else None


def _read_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and content of each JP2 box before the codestream."""
    position = 0
    while len(kind := data[position + 4 : position + 8]) == 4 and kind != b"jp2c":
        length, start = int.from_bytes(data[position : position + 4]), position + 8
        if length == 1:
            length, start = int.from_bytes(data[start : start + 8]), start + 8
        end = position + length if length else len(data)
        if end < start:
            return
        yield kind, data[start:end]
        position = end


def convert_to_srgb(samples: NDArray[Any], bit_depth: int, profile: object) -> NDArray[Any]:
    """Convert samples to sRGB by their profile; without a usable profile, as if they were sRGB.

    Args:
        samples: uint8 or uint16, (height, width, channels): grey, R G B or C M Y K.
        bit_depth: bits per sample.
        profile: ICC profile, or None.

    Returns:
        (height, width, 3), of the same type and bit depth.
    """
    if bit_depth > 8:
        return np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples
    grey = samples.shape[2] == 1
    image = Image.fromarray(np.ascontiguousarray(samples[..., 0] if grey else samples))
    if samples.shape[2] == 4:
        image = Image.frombytes("CMYK", image.size, samples.tobytes())
    return np.asarray(_convert_image(image, profile))


def _convert_image(image: Image.Image, profile: object) -> Image.Image:
    """Convert an image to sRGB by its profile; without a usable profile, as if it were sRGB.

    Args:
        image: upright, 8 bits per channel, of mode RGB, L, CMYK or YCbCr.
        profile: the value of `icc_profile` in Pillow's `image.info`, or None.
    """
    # Under this key, Pillow also stores a PNG's text chunk of the same name, as a `str`.
    if isinstance(profile, bytes) and profile:
        try:
            if not _is_srgb(profile, image.mode):
                return _apply_profile(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # an unusable profile is ignored by policy
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=64)
def _is_srgb(profile: bytes, mode: str) -> bool:
    """Check whether a profile leaves colours unchanged, except for rounding."""
    if mode not in _PROBES:
        return False
    probe = Image.fromarray(_PROBES[mode])
    before = np.asarray(probe.convert("RGB"), int)
    after = np.asarray(_apply_profile(probe, profile), int)
    return bool(np.abs(after - before).max() <= _TOLERANCE)


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        _SRGB,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:
        raise ValueError("no conversion")
    return converted
