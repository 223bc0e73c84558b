"""Read JPEG XL files (ISO/IEC 18181)."""

import numpy as np

from roi_ray.errors import ImageReadError, UnsupportedColour
from roi_ray.imaging.colour.cicp import refuse_hdr
from roi_ray.imaging.colour.icc_tags import refuse_hdr_profile
from roi_ray.imaging.limits import check_pixel_count
from roi_ray.imaging.raster import Cicp, Raster
from roi_ray.imaging.readers.libjxl import Decoder, Memory
from roi_ray.imaging.readers.libjxl_interface import BasicInfo, ColourEncoding, Event, ExtraChannel
from roi_ray.imaging.samples import Samples, scale

_HEADER_MEMORY, _BYTES_PER_PIXEL = 32 << 20, 48
"""Memory that libjxl may hold: up to 13 bytes per pixel for RGB, 20 for RGBA of 16 bits, 50 for
two layers of RGBA, and 3 MiB for any image."""

_BASE_WORK, _WORK_PER_PIXEL = 512 << 20, 512
"""Memory that libjxl may allocate in all, which limits the time: 22 to 37 bytes per pixel for RGBA,
and up to 90 per pixel for each layer. Blank layers take 30 to 60 ms per megapixel."""

_CICP_TRANSFERS = (1, 8, 13)
"""BT.709, linear, sRGB. JxlTransferFunction has CICP's numbers, also for PQ (16) and HLG (18)."""

_RGB, _GREY = 0, 1  # JxlColorSpace
_D65 = 1  # JxlWhitePoint
_CICP_PRIMARIES = {1: 1, 9: 9, 11: 12}
"""CICP primaries (sRGB, BT.2020, Display P3) by JxlPrimaries, which leave out the white point."""

_REFUSED_CHANNELS: dict[int, str] = {
    ExtraChannel.SPOT_COLOUR: "spot colours",
    ExtraChannel.BLACK: "CMYK (a black channel)",
    ExtraChannel.CFA: "raw samples of a camera's colour filter",
}
_IGNORED_CHANNELS = (
    ExtraChannel.ALPHA,
    ExtraChannel.DEPTH,
    ExtraChannel.SELECTION_MASK,
    ExtraChannel.THERMAL,
    ExtraChannel.OPTIONAL,
)
_SRGB = Cicp(primaries=1, transfer=13)
_TO_PNG = "decode it to PNG with djxl"


def read_jpegxl(data: bytes, max_pixels: int) -> Raster:
    """Read the first frame of a JPEG XL file, a bare codestream or a container.

    Lossy images are stored in a colour space of their own (XYB); they are decoded to sRGB,
    whatever colours the original had. Lossless images and transcoded JPEGs keep theirs. The
    orientation is applied; EXIF is not read (ISO/IEC 18181-2: the codestream takes precedence).
    The pixels of a transcoded JPEG are those of a JPEG XL decoder (djxl, browsers), which estimates
    coefficients more finely than JPEG decoders do.

    Args:
        data: the file's content.
        max_pixels: largest width times height that is decoded; checked before decoding.

    Returns:
        the image, upright. Alpha is not premultiplied.

    Raises:
        ImageReadError: the file is truncated or damaged; has floating-point samples or more than 16
            bits; or needs far more memory than its size justifies.
        ImageTooLarge: the image has more than `max_pixels` pixels.
        UnsupportedColour: the colours are HDR (PQ or HLG) or unknown, or the image has channels
            that RGB cannot express.
    """
    memory = Memory(_HEADER_MEMORY, _BASE_WORK)
    with Decoder(data, memory) as decoder:
        _advance(decoder, memory, Event.BASIC_INFO)
        info = decoder.basic_info()
        check_pixel_count(info.width, info.height, max_pixels)
        _check_samples(info)
        _check_extra_channels(decoder, info)
        pixels = info.width * info.height
        memory.limit = _HEADER_MEMORY + _BYTES_PER_PIXEL * pixels
        memory.work_limit = _BASE_WORK + _WORK_PER_PIXEL * pixels
        _advance(decoder, memory, Event.COLOR_ENCODING)
        cicp, profile = _read_colours(decoder, info)
        samples = _decode_samples(decoder, memory, info)
    if info.bits_per_sample <= 8:  # libjxl itself would dither: a quarter would be 1 level off
        samples = scale(samples, 0xFFFF, 8)
    return Raster(
        samples,
        bit_depth=max(info.bits_per_sample, 8),
        has_alpha=info.alpha_bits > 0,
        icc_profile=profile,
        cicp=cicp,
    )


def _advance(decoder: Decoder, memory: Memory, expected: Event) -> None:
    """Decode up to an event."""
    event = decoder.advance()
    if event == expected:
        return
    if memory.exceeded:
        raise ImageReadError(
            "decoding needs far more memory or time than the image's size justifies (many layers "
            f"or channels?); {_TO_PNG}"
        )
    if event == Event.NEED_MORE_INPUT:
        raise ImageReadError("cannot be decoded: the JPEG XL file is truncated")
    raise ImageReadError("cannot be decoded: the JPEG XL file is damaged")


def _check_samples(info: BasicInfo) -> None:
    if info.exponent_bits_per_sample:
        raise ImageReadError(
            "floating-point samples in JPEG XL are not supported: their range is unknown; "
            f"{_TO_PNG} (--bits_per_sample=16)"
        )
    if info.bits_per_sample > 16:
        raise ImageReadError(
            f"{info.bits_per_sample} bits per sample in JPEG XL are not supported, 16 are; "
            f"{_TO_PNG} (--bits_per_sample=16)"
        )


def _check_extra_channels(decoder: Decoder, info: BasicInfo) -> None:
    for index in range(info.num_extra_channels):
        channel_type = decoder.extra_channel_type(index)
        if channel_type not in _IGNORED_CHANNELS:
            name = _REFUSED_CHANNELS.get(channel_type, f"extra channels of type {channel_type}")
            raise UnsupportedColour(f"{name} in JPEG XL is not supported; convert it to RGB")


def _read_colours(decoder: Decoder, info: BasicInfo) -> tuple[Cicp | None, bytes | None]:
    """Read the colours of the samples that will be decoded, and let XYB be decoded to sRGB."""
    encoding = decoder.original_encoding()
    cicp = None if encoding is None else _find_cicp(encoding)
    if info.uses_original_profile:
        return cicp, decoder.original_profile() if cicp is None else None
    if encoding is None:
        refuse_hdr_profile(decoder.original_profile())
    if info.alpha_bits and info.alpha_premultiplied and cicp != _SRGB:
        # Alpha must be divided out in the original's colours, in which it was multiplied.
        raise ImageReadError(
            "premultiplied alpha with colours other than sRGB in a lossy JPEG XL is not "
            f"supported; {_TO_PNG}"
        )
    decoder.convert_to_srgb(is_grey=info.num_color_channels == 1)
    return _SRGB, None


def _find_cicp(encoding: ColourEncoding) -> Cicp | None:
    """Return the code points of enumerated colours, None if CICP has none for them.

    Raises:
        UnsupportedColour: the colours are HDR (PQ or HLG) or unknown.
    """
    transfer = encoding.transfer_function
    refuse_hdr(transfer)
    if encoding.color_space not in (_RGB, _GREY):
        raise UnsupportedColour(f"the JPEG XL file states no colour space; {_TO_PNG}")
    primaries = 1 if encoding.color_space == _GREY else _CICP_PRIMARIES.get(encoding.primaries)
    if encoding.white_point != _D65 or primaries is None or transfer not in _CICP_TRANSFERS:
        return None
    return Cicp(primaries, transfer)


def _decode_samples(decoder: Decoder, memory: Memory, info: BasicInfo) -> Samples:
    """Decode the pixels: (height, width, channels); those of up to 8 bits are scaled to 16."""
    _advance(decoder, memory, Event.NEED_IMAGE_OUT_BUFFER)
    channels = info.num_color_channels + (info.alpha_bits > 0)
    samples = np.empty((info.height, info.width, channels), np.uint16)
    decoder.set_output(samples, scale_to_16_bits=info.bits_per_sample <= 8)
    _advance(decoder, memory, Event.FULL_IMAGE)
    return samples
