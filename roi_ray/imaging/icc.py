"""Convert an image's colours to sRGB by its ICC profile.

Profiles are classified by probing them, because their names are unreliable ("Linear sRGB").
"""

import io
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from roi_ray.imaging.cicp import refuse_hdr
from roi_ray.imaging.matrix import Samples, bands, convert_matrix_rgb, encode_srgb

_SRGB = ImageCms.createProfile("sRGB")
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_EXACT = ImageCms.Flags.NOOPTIMIZE
"""Without it, Little CMS replaces the conversion by a coarse table. Strongly non-linear profiles
lose up to 11 dB by it, and every profile does above 8 bits."""

_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
_COLOUR_SPACES = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}

_RAMP = np.arange(256, dtype=np.uint8)
_CUBE = np.stack(np.meshgrid(*[_RAMP[::60]] * 3), -1).reshape(-1, 3)
_GREYS = np.repeat(_RAMP[:, None], 3, axis=1)
_PROBES = {1: _RAMP.reshape(1, -1, 1), 3: np.concatenate([_CUBE, _GREYS])[None]}
"""Colours that are converted to find out whether a profile is sRGB, by number of channels."""

_TOLERANCE = 3
"""Of 255: the largest difference between the tables of an sRGB profile and the sRGB formula."""

_MODEL_TOLERANCE = 5e-5
"""Largest difference, of sRGB values in 0..1, between a matrix profile and the fitted model."""

_WHITE_TOLERANCE = 5e-4
"""Profiles round their matrix to 1/65536, so that white is white only about as well as this."""

_LCMS_BAND = 1 << 18
"""Pixels per call of Little CMS, each of which reads the profile anew."""


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


def convert_to_srgb(samples: Samples, bit_depth: int, profile: object) -> Samples:
    """Convert samples to sRGB by an ICC profile; without a usable one, as if they were sRGB.

    Relative colorimetric, with black point compensation; colours outside sRGB's gamut are clipped.

    Args:
        samples: grey, RGB or CMYK (0 is no ink): (height, width, 1, 3 or 4), 0..2^bit_depth - 1.
        bit_depth: bits per sample, 8 to 16.
        profile: ICC profile, or anything else, which is ignored.

    Returns:
        sRGB, (height, width, 3), of the samples' type and depth; the samples themselves if they
        are sRGB already.

    Raises:
        UnsupportedColour: the profile describes HDR (PQ or HLG).
    """
    from imagecodecs import CmsError

    # Under this key, Pillow also stores a PNG's text chunk of the same name, as a `str`.
    if isinstance(profile, bytes) and _describes(profile, samples.shape[2]):
        _refuse_hdr_profile(profile)
        try:
            return _apply_profile(samples, bit_depth, profile)
        except (CmsError, ImageCms.PyCMSError, OSError, ValueError):
            pass  # an unusable profile is ignored by policy
    if samples.shape[2] == 4:
        return _convert_plain_cmyk(samples, bit_depth)
    return np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples


def _describes(profile: bytes, channels: int) -> bool:
    """Check whether a profile gives a meaning to samples of so many channels.

    Device links, abstract and named-colour profiles do not; they are not for embedding.
    """
    return profile[12:16] in _CLASSES and profile[16:20] == _COLOUR_SPACES[channels]


def _refuse_hdr_profile(profile: bytes) -> None:
    """Raise `UnsupportedColour` if a profile's `cicp` tag names PQ or HLG (ICC.1:2022, 9.2.17)."""
    end = min(132 + 12 * int.from_bytes(profile[128:132]), len(profile))
    for entry in range(132, end, 12):
        if profile[entry : entry + 4] == b"cicp":
            start = int.from_bytes(profile[entry + 4 : entry + 8])
            tag = profile[start : start + 12]  # type, 4 reserved bytes, primaries, transfer, ...
            if tag[:4] == b"cicp" and len(tag) == 12:
                refuse_hdr(tag[9])


def _apply_profile(samples: Samples, bit_depth: int, profile: bytes) -> Samples:
    channels = samples.shape[2]
    if channels == 4:
        return _transform(samples, bit_depth, profile, _EXACT)
    is_srgb = _is_srgb(profile, channels)
    if channels == 1:
        if is_srgb:
            return np.repeat(samples, 3, axis=2)
        every_value = np.arange(1 << bit_depth).astype(samples.dtype).reshape(1, -1, 1)
        table: Samples = _transform(every_value, bit_depth, profile, _EXACT)[0]
        return table.take(samples[..., 0], axis=0, mode="clip")
    if is_srgb:
        return samples
    model = _fit_matrix(profile, bit_depth)
    if model is None or bit_depth == 8:
        return _transform(samples, bit_depth, profile, _EXACT if model is None else 0)
    return convert_matrix_rgb(samples, bit_depth, *model)


@lru_cache(maxsize=64)
def _is_srgb(profile: bytes, channels: int) -> bool:
    """Check whether a profile leaves colours unchanged, except for rounding."""
    before = _PROBES[channels]
    after = _transform(before, 8, profile, 0)
    return bool(np.abs(after - before.astype(int)).max() <= _TOLERANCE)


@lru_cache(maxsize=8)
def _fit_matrix(
    profile: bytes, bit_depth: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
    """Fit a curve per channel and a matrix to linear sRGB light to an RGB profile.

    Returns:
        `curves` and `matrix` of `convert_matrix_rgb`; None if the profile is not of this kind.
    """
    values = np.linspace(0, 1, 1 << bit_depth, dtype=np.float32)
    ramps = np.zeros((3, len(values), 3), np.float32)  # one channel rises, the others are 0
    ramps[range(3), :, range(3)] = values
    light = _measure_light(ramps, profile)
    columns = light[:, -1]
    lengths = (columns**2).sum(1)
    if not lengths.all():
        return None
    curves = np.einsum("cvi,ci->cv", light, columns) / lengths[:, None]
    matrix = columns.T
    probes = np.random.default_rng(0).integers(0, len(values), (200, 3))
    model = curves[range(3), probes] @ matrix.T
    measured = _measure_light(values[probes][None], profile)[0]
    if np.abs(encode_srgb(model) - encode_srgb(measured)).max() > _MODEL_TOLERANCE:
        return None
    white = matrix.sum(1, keepdims=True)
    if np.abs(white - 1).max() < _WHITE_TOLERANCE:
        matrix = matrix / white
    return curves.astype(np.float32), matrix


def _measure_light(colours: NDArray[np.float32], profile: bytes) -> NDArray[np.float64]:
    """Convert colours, 0..1, by a profile to linear sRGB light; not clipped."""
    from imagecodecs import cms_transform

    light = cms_transform(
        colours,
        profile,
        _linear_srgb(),
        colorspace="rgb",
        outcolorspace="rgb",
        intent=_INTENT,
        flags=_FLAGS | _EXACT,
    )
    return np.asarray(light, np.float64)


@lru_cache(maxsize=1)
def _linear_srgb() -> bytes:
    from imagecodecs import cms_profile

    primaries = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    profile: bytes = cms_profile("rgb", whitepoint=(0.3127, 0.3290), primaries=primaries, gamma=1)
    return profile


def _transform(samples: Samples, bit_depth: int, profile: bytes, flags: int) -> Samples:
    """Convert samples by Little CMS, a band of rows at a time."""
    convert = _transform_8_bits if bit_depth == 8 else _transform_16_bits
    convert_band = convert(profile, samples.shape[2], bit_depth, _FLAGS | flags)
    converted = np.empty((*samples.shape[:2], 3), samples.dtype)
    for rows in bands(samples, _LCMS_BAND):
        converted[rows] = convert_band(np.ascontiguousarray(samples[rows]))
    return converted


def _transform_8_bits(
    profile: bytes, channels: int, _bit_depth: int, flags: int
) -> Callable[[Samples], Samples]:
    mode = _MODES[channels]
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        _SRGB,
        mode,
        "RGB",
        renderingIntent=_INTENT,
        flags=ImageCms.Flags(flags),
    )

    def convert_band(band: Samples) -> Samples:
        image = Image.frombuffer(mode, (band.shape[1], band.shape[0]), band, "raw", mode, 0, 1)
        return np.asarray(ImageCms.applyTransform(image, transform))

    return convert_band


def _transform_16_bits(
    profile: bytes, channels: int, bit_depth: int, flags: int
) -> Callable[[Samples], Samples]:
    from imagecodecs import cms_profile, cms_transform

    srgb = cms_profile("srgb")
    white = (1 << bit_depth) - 1

    def convert_band(band: Samples) -> Samples:
        scaled = (band.astype(np.uint32) * 0xFFFF + white // 2) // white
        converted = cms_transform(
            scaled.astype(np.uint16),
            profile,
            srgb,
            colorspace={1: "gray", 3: "rgb", 4: "cmyk"}[channels],
            outcolorspace="rgb",
            intent=_INTENT,
            flags=flags,
        )
        levels = (converted.astype(np.uint32) * white + 0x7FFF) // 0xFFFF
        return levels.reshape(*band.shape[:2], 3).astype(np.uint16)

    return convert_band


def _convert_plain_cmyk(samples: Samples, bit_depth: int) -> Samples:
    """Convert CMYK without a profile by Pillow's formula: (white - ink) (white - black) / white."""
    white = (1 << bit_depth) - 1
    converted = np.empty((*samples.shape[:2], 3), samples.dtype)
    for rows in bands(samples):
        paper = white - samples[rows].astype(np.uint32)
        # C M Y, each times K
        converted[rows] = (paper[..., :3] * paper[..., 3:] + white // 2) // white
    return converted
