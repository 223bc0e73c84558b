"""Convert an image's colours to sRGB by its ICC profile.

Profiles are classified by probing them, because their names are unreliable ("Linear sRGB").
"""

from functools import lru_cache

import numpy as np
from PIL import ImageCms

from roi_ray.imaging.colour.icc_model import fit_matrix
from roi_ray.imaging.colour.icc_tags import describes_samples, has_table, refuse_hdr_profile
from roi_ray.imaging.colour.lcms import transform
from roi_ray.imaging.colour.matrix import convert_grey, convert_matrix_rgb
from roi_ray.imaging.samples import Samples, tiles

_RAMP = np.arange(256, dtype=np.uint8)
_GREYS = np.repeat(_RAMP[:, None], 3, axis=1)
_CUBE = np.stack(np.meshgrid(*[_RAMP[::60]] * 3), -1).reshape(-1, 3)
_PROBES = {1: _RAMP.reshape(1, -1, 1), 3: np.concatenate([_GREYS, _CUBE])[None]}
"""Colours that are converted to find out whether a profile is sRGB, by number of channels."""

_TOLERANCE = 3
"""Of 255: the largest difference between the tables of an sRGB profile and the sRGB formula."""


def convert_to_srgb(
    samples: Samples, bit_depth: int, profile: object, out: Samples | None = None
) -> Samples:
    """Convert samples to sRGB by an ICC profile; without a usable one, as if they were sRGB.

    Relative colorimetric, with black point compensation; colours outside sRGB's gamut are clipped.

    Args:
        samples: grey, RGB or CMYK (0 is no ink): (height, width, 1, 3 or 4), 0..2^bit_depth - 1.
        bit_depth: bits per sample, 8 to 16.
        profile: ICC profile, or anything else, which is ignored.
        out: array that may be used for the result, of RGB samples: `samples` themselves.

    Returns:
        sRGB, (height, width, 3), of the samples' type and depth; the samples themselves if they
        are sRGB already.

    Raises:
        UnsupportedColour: the profile describes HDR (PQ or HLG).
    """
    from imagecodecs import CmsError

    # Under this key, Pillow also stores a PNG's text chunk of the same name, as a `str`.
    if isinstance(profile, bytes) and describes_samples(profile, samples.shape[2]):
        refuse_hdr_profile(profile)
        try:
            return _apply_profile(samples, bit_depth, profile, out)
        except (CmsError, ImageCms.PyCMSError, OSError, ValueError):
            pass  # an unusable profile is ignored by policy
    return _as_srgb(samples, bit_depth)


def _apply_profile(
    samples: Samples, bit_depth: int, profile: bytes, out: Samples | None
) -> Samples:
    channels = samples.shape[2]
    if channels == 4:
        return transform(samples, bit_depth, profile)
    if _is_srgb(profile, channels):
        return _as_srgb(samples, bit_depth)
    if channels == 1:
        every_value = np.arange(1 << bit_depth).astype(samples.dtype).reshape(1, -1, 1)
        return convert_grey(samples, transform(every_value, bit_depth, profile)[0])
    model = fit_matrix(profile, bit_depth)
    # Whatever Little CMS refuses, it refuses before the first pixel is written.
    if model is None:
        return transform(samples, bit_depth, profile, out=out)
    if bit_depth == 8 and not has_table(profile):
        return transform(samples, bit_depth, profile, exact=False, out=out)
    return convert_matrix_rgb(samples, bit_depth, model.curves, model.matrix, out)


@lru_cache(maxsize=64)
def _is_srgb(profile: bytes, channels: int) -> bool:
    """Check whether a profile leaves colours unchanged, except for rounding."""
    before = _PROBES[channels]
    after = transform(before, 8, profile)
    return bool(np.abs(after - before.astype(int)).max() <= _TOLERANCE)


def _as_srgb(samples: Samples, bit_depth: int) -> Samples:
    """Take samples without a profile for sRGB."""
    if samples.shape[2] == 4:
        return _convert_plain_cmyk(samples, bit_depth)
    return np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples


def _convert_plain_cmyk(samples: Samples, bit_depth: int) -> Samples:
    """Convert CMYK without a profile by Pillow's formula: (white - ink) (white - black) / white."""
    white = (1 << bit_depth) - 1
    converted = np.empty((*samples.shape[:2], 3), samples.dtype)
    for tile in tiles(samples):
        paper = white - samples[tile].astype(np.uint32)
        converted[tile] = (paper[..., :3] * paper[..., 3:] + white // 2) // white
    return converted
