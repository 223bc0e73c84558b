"""Read JPEG 2000 and HTJ2K: JP2, JPH and JPX files, and bare codestreams.

Plain 8-bit images are decoded by Pillow. All others are decoded by OpenJPEG, too, but through
imagecodecs, from the codestream alone: Pillow shifts the samples of other depths, so that white
wraps around to black above 8 bits, and truncates sYCC. What the boxes say about channels and
colours is then applied here.
"""

from dataclasses import replace

import numpy as np

from roi_ray.errors import ImageReadError, UnsupportedColour
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.jp2 import Channel, Codestream, Jp2Header, read_headers, read_size
from roi_ray.imaging.readers.pillow import read_pillow
from roi_ray.imaging.samples import Samples, scale, tiles

_CMYK, _SRGB, _GREY, _SYCC = 12, 16, 17, 18
"""Enumerated colourspaces (EnumCS) that are read: ITU-T T.800, I.5.3.3; T.801, M.11.7.3."""

_REFUSED_COLOURSPACES = {
    0: "bilevel",
    1: "YCbCr(1)",
    3: "YCbCr(2)",
    4: "YCbCr(3)",
    9: "PhotoYCC",
    11: "CMY",
    13: "YCCK",
    14: "CIELab",
    15: "bilevel(2)",
    19: "CIEJab",
    20: "e-sRGB",
    21: "ROMM-RGB",
    22: "YPbPr(1125/60)",
    23: "YPbPr(1250/50)",
    24: "e-sYCC",
}

_COLOUR, _OPACITY, _PREMULTIPLIED = 0, 1, 2
_CINEMA_PROFILES = range(3, 8)
_SUBSAMPLED = ([(1, 1), (2, 1), (2, 1)], [(1, 1), (2, 2), (2, 2)])
"""Steps of components in 4:2:2 and 4:2:0, which imagecodecs converts from sYCC to RGB."""

_HINT = "decode it to PNG or PPM with `opj_decompress`"


def read_jpeg2000(data: bytes, max_pixels: int) -> Raster:
    """Read a JPEG 2000 or HTJ2K image.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded.

    Returns:
        samples of the file's own depth; those of fewer than 8 bits are scaled to 8.

    Raises:
        ImageReadError: the file is damaged, or its components are outside the policy.
        ImageTooLarge: the image has more than `max_pixels` pixels.
        UnsupportedColour: the colourspace is not grey, sRGB, sYCC or 8-bit CMYK, nor given by an
            ICC profile or CICP.
    """
    header, stream = read_headers(data)
    if header.size:
        check_pixel_count(*header.size, max_pixels)
    codestream = read_size(stream)
    check_pixel_count(codestream.width, codestream.height, max_pixels)
    if header.size not in (None, (codestream.width, codestream.height)):
        raise ImageReadError(
            "cannot be decoded: a JP2 file whose header contradicts the size of its codestream"
        )
    _check_colour(header, codestream)
    if _is_plain(header, codestream):
        raster = read_pillow(data, max_pixels, formats=("JPEG2000",))
    else:
        raster = _read_by_imagecodecs(header, codestream, data, stream)
    return replace(raster, icc_profile=header.icc_profile, cicp=header.cicp)


def _check_colour(header: Jp2Header, codestream: Codestream) -> None:
    """Refuse colours that would be misread.

    Raises:
        ImageReadError, UnsupportedColour: the colours are not supported.
    """
    space = header.enumerated
    if space not in (None, _CMYK, _SRGB, _GREY, _SYCC):
        name = _REFUSED_COLOURSPACES.get(space, "unknown")
        raise UnsupportedColour(
            f"a JPEG 2000 image of enumerated colourspace {space} ({name}) is not supported; "
            "convert it to sRGB"
        )
    has_colour = space or header.icc_profile or header.cicp
    if codestream.profile in _CINEMA_PROFILES and not has_colour:
        raise UnsupportedColour(
            "a digital cinema image (X'Y'Z' colours) is not supported; convert it to sRGB"
        )
    if any(channel.kind == _PREMULTIPLIED for channel in header.channels):
        raise ImageReadError(f"a JPEG 2000 image of premultiplied alpha is not supported; {_HINT}")
    is_cmyk = space == _CMYK or (header.icc_profile or b"")[16:20] == b"CMYK"
    if is_cmyk and not (space == _CMYK and _is_plain(header, codestream)):
        raise UnsupportedColour(
            "a CMYK JPEG 2000 image of other than 8 bits, or with a profile, is not supported; "
            "convert it to sRGB"
        )


def _is_plain(header: Jp2Header, codestream: Codestream) -> bool:
    """Check whether Pillow reads the image rightly: 8 bits, and channels in their usual order."""
    count = len(codestream.components)
    return (
        count <= 4
        and not header.palette_depths
        and header.enumerated != _SYCC
        and _has_usual_channels(header, count)
        and all(component.bit_depth == 8 for component in codestream.components)
    )


def _has_usual_channels(header: Jp2Header, count: int) -> bool:
    """Check whether channels are the colours in their order, then alpha as the 2nd or 4th."""
    colours = count - 1 if count in (2, 4) and header.enumerated != _CMYK else count
    usual = [Channel(index, _COLOUR, index + 1) for index in range(colours)]
    if colours < count:
        usual.append(Channel(count - 1, _OPACITY, 0))
    return sorted(header.channels) in ([], usual)


def _read_by_imagecodecs(
    header: Jp2Header, codestream: Codestream, data: bytes, stream: bytes
) -> Raster:
    from imagecodecs import jpeg2k_decode

    if header.palette_depths:
        samples, depth = _read_palette_image(header, codestream, data)
        return Raster(samples, depth, has_alpha=samples.shape[2] in (2, 4))
    is_subsampled = _check_components(codestream)
    depth, is_signed, *_ = codestream.components[0]
    samples = jpeg2k_decode(stream)
    samples = samples.reshape(codestream.height, codestream.width, len(codestream.components))
    if is_signed:
        samples = samples.view(f"u{samples.itemsize}")
        samples += samples.dtype.type(1 << (depth - 1))  # modulo 2^8 or 2^16
    samples, has_alpha = _order_channels(samples, header.channels)
    if header.enumerated == _SYCC and not is_subsampled and samples.shape[2] - has_alpha == 3:
        _convert_sycc(samples, depth)
    if depth < 8:
        samples, depth = scale(samples, (1 << depth) - 1, 8), 8
    return Raster(samples, depth, has_alpha)


def _read_palette_image(
    header: Jp2Header, codestream: Codestream, data: bytes
) -> tuple[Samples, int]:
    """Let OpenJPEG apply a palette, which it does if it gets the boxes too.

    Returns:
        samples of 8 to 16 bits, and their bit depth.
    """
    from imagecodecs import jpeg2k_decode

    count, depth = len(header.palette_depths), header.palette_depths[0]
    (component, *others), depths = codestream.components, set(header.palette_depths)
    if (
        len(depths) > 1
        or count > 4
        or others
        or component[1:] != (False, 1, 1)
        or header.enumerated == _SYCC
        or not _has_usual_channels(header, count)
    ):
        raise ImageReadError(
            "a JPEG 2000 palette whose indices or channels are of an unusual kind is not "
            f"supported; {_HINT}"
        )
    samples = jpeg2k_decode(data).reshape(codestream.height, codestream.width, count)
    return (samples, depth) if depth >= 8 else (scale(samples, (1 << depth) - 1, 8), 8)


def _check_components(codestream: Codestream) -> bool:
    """Check that imagecodecs can decode the components, and tell whether they are subsampled.

    Raises:
        ImageReadError: it cannot.
    """
    components = codestream.components
    depths = sorted({component.bit_depth for component in components})
    is_signed = any(component.is_signed for component in components)
    steps = [(component.x_step, component.y_step) for component in components]
    is_subsampled = steps in _SUBSAMPLED
    problem = ""
    if len(components) > 4:
        problem = f"{len(components)} components"
    elif depths[-1] > 16:
        problem = f"{depths[-1]} bits per sample"
    elif len(depths) > 1:
        problem = f"components of different depths ({', '.join(map(str, depths))} bits)"
    elif len({component.is_signed for component in components}) > 1:
        problem = "signed and unsigned components"
    elif set(steps) != {(1, 1)} and (is_signed or not is_subsampled):
        problem = f"components with sample steps of {', '.join(f'{x} x {y}' for x, y in steps)}"
    if problem:
        raise ImageReadError(f"a JPEG 2000 image of {problem}, which is not supported; {_HINT}")
    return is_subsampled


def _order_channels(samples: Samples, definitions: tuple[Channel, ...]) -> tuple[Samples, bool]:
    """Bring channels in the order of the raster: colours, then alpha.

    Without definitions, the last of 2 or 4 channels is alpha. Channels without a meaning are
    dropped.

    Returns:
        the channels, and whether there is alpha.
    """
    count = samples.shape[2]
    if not definitions:
        return samples, count in (2, 4)
    colours = sorted(
        (channel.association, channel.number) for channel in definitions if channel.kind == _COLOUR
    )
    alphas = [channel.number for channel in definitions if channel.kind == _OPACITY]
    order = [index for _, index in colours] + alphas
    if len(colours) not in (1, 3) or len(alphas) > 1 or max(order) >= count:
        raise ImageReadError(
            f"a JPEG 2000 image of {len(colours)} colours and {len(alphas)} alpha channels, which "
            f"is not supported; {_HINT}"
        )
    if order != list(range(count)):
        samples = np.ascontiguousarray(samples[..., order])
    return samples, bool(alphas)


def _convert_sycc(samples: Samples, depth: int) -> None:
    """Convert sYCC to RGB, in place (IEC 61966-2-1, Amendment 1)."""
    white, middle = (1 << depth) - 1, 1 << (depth - 1)
    for tile in tiles(samples):
        band = samples[tile]
        luma, blue, red = np.moveaxis(band[..., :3].astype(np.float64), 2, 0)
        blue, red = blue - middle, red - middle
        rgb = (
            luma + 1.402 * red,
            luma - 0.344136 * blue - 0.714136 * red,
            luma + 1.772 * blue,
        )
        band[..., :3] = np.clip(np.rint(np.stack(rgb, -1)), 0, white).astype(samples.dtype)
