"""Colours as a file has them -> sRGB, by the file's ICC profile.

Which profile it is, is seen from what it does, as names mislead ("Linear sRGB").
"""

import io
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_SRGB = ImageCms.createProfile("sRGB")
_RAMP = np.arange(0, 256, 15, np.uint8)
_PROBES = {
    "L": _RAMP[None],
    "RGB": np.stack(np.meshgrid(_RAMP[::4], _RAMP[::4], _RAMP[::4]), -1).reshape(1, -1, 3),
}
"""Colours by which a profile is told from sRGB's."""

_ROUNDING = 3
"""Of 255: an sRGB profile's tables and curves differ from the formula by no more."""


def read_jpeg2000_profile(data: bytes) -> bytes | None:
    """The ICC profile in a JP2 file's colour box (ISO/IEC 15444-1, I.5.3.3); None if it has none.

    Pillow passes over it.
    """
    header = next((box for kind, box in _boxes(data) if kind == b"jp2h"), b"")
    # The first such box counts, and its first byte says whether it holds a profile.
    colour = next((box for kind, box in _boxes(header) if kind == b"colr"), b"")
    return colour[3:] if colour[:1] in (b"\2", b"\3") else None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Types and contents, up to the image's code."""
    at = 0
    while len(kind := data[at + 4 : at + 8]) == 4 and kind != b"jp2c":
        length, start = int.from_bytes(data[at : at + 4]), at + 8
        if length == 1:
            length, start = int.from_bytes(data[start : start + 8]), start + 8
        end = at + length if length else len(data)
        if end < start:
            return
        yield kind, data[start:end]
        at = end


def convert_to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """An image of mode RGB, L, CMYK or YCbCr in sRGB: by its profile, or as if it had none.

    Args:
        image: upright, of 8 bits.
        profile: what the file gives for one.
    """
    if isinstance(profile, bytes) and profile:  # a PNG may have a text of that name
        try:
            if not _is_srgb(profile, image.mode):
                return _convert(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # an unusable profile is ignored: see the policy in `decode.py`
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=64)
def _is_srgb(profile: bytes, mode: str) -> bool:
    """Whether a profile leaves colours as they are, but for rounding."""
    if mode not in _PROBES:
        return False
    probe = Image.fromarray(_PROBES[mode])
    before, after = (np.asarray(i, int) for i in (probe.convert("RGB"), _convert(probe, profile)))
    return bool(np.abs(after - before).max() <= _ROUNDING)


def _convert(image: Image.Image, profile: bytes) -> Image.Image:
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
