"""Encode JPEG XL files with everything that headers can say, by libjxl's C interface.

cjxl and imagecodecs write few of the orientations, extra channels, layers and depths that the
format allows. Functions: libjxl 0.11, `jxl/encode.h`.
"""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int64, c_size_t, c_void_p
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roi_ray.imaging.readers.libjxl_interface import (
    BasicInfo,
    ColourEncoding,
    ExtraChannelInfo,
    PixelFormat,
    load_library,
)

_NEED_MORE_OUTPUT = 2
_DATA_TYPES = {"uint8": 2, "uint16": 3, "float32": 0}
_FROM_CODESTREAM = 1
_ALPHA = 0  # JxlExtraChannelType
_EFFORT = 0  # JxlEncoderFrameSettingId


class _BlendInfo(ctypes.Structure):
    _fields_ = [(name, c_int) for name in ("mode", "source", "alpha", "clamp")]


class _FrameHeader(ctypes.Structure):
    _fields_ = [
        *((name, c_int) for name in ("duration", "timecode", "name_length", "is_last")),
        *((name, c_int) for name in ("have_crop", "left", "top", "width", "height")),
        ("blend", _BlendInfo),
        ("save_as_reference", c_int),
    ]


class Frame(NamedTuple):
    """A layer, or a frame of an animation if it has a duration."""

    pixels: NDArray
    duration: int = 0
    left: int = 0
    top: int = 0
    blend: int = 2  # over the earlier layers, by alpha


def encode(
    pixels: NDArray | None = None,
    *,
    lossless: bool = True,
    distance: float = 1.0,
    effort: int = 3,
    bits: int = 0,
    colours: tuple[int, int, int] | None = None,
    gamma: float = 0.0,
    icc_profile: bytes | None = None,
    orientation: int = 1,
    premultiplied: bool = False,
    extra_channels: Sequence[tuple[int, NDArray]] = (),
    frames: Sequence[Frame] = (),
    canvas: tuple[int, int] | None = None,
    container: bool = False,
) -> bytes:
    """Encode an image.

    Args:
        pixels: (height, width, 1 to 4): grey or RGB, with alpha if the number is even.
        lossless: whether samples are kept, in the original's colours; else XYB.
        distance: Butteraugli distance of a lossy image; 1 is visually lossless.
        effort: 1 to 9.
        bits: bits per sample; 0 for those of the samples' type. Integer samples are of this depth;
            floating-point ones, 0..1, are then stored as integers.
        colours: white point, primaries and transfer function, as in `ColourEncoding`; sRGB if None.
        gamma: exponent, for the transfer function 65535.
        icc_profile: instead of `colours`.
        orientation: 1 to 8.
        premultiplied: whether alpha is declared as premultiplied.
        extra_channels: type and samples (height, width) of further channels.
        frames: layers or frames, instead of `pixels`.
        canvas: width and height, if not those of the first frame.
        container: whether boxes surround the codestream.
    """
    frames = list(frames) or [Frame(pixels, blend=0)]
    first = frames[0].pixels
    library = _load_encoder()
    encoder = library.JxlEncoderCreate(None)

    def call(name: str, *arguments: object) -> None:
        assert getattr(library, f"JxlEncoder{name}")(encoder, *arguments) == 0, name

    try:
        info = BasicInfo()
        library.JxlEncoderInitBasicInfo(byref(info))
        info.width, info.height = canvas or (first.shape[1], first.shape[0])
        info.bits_per_sample = bits or first.itemsize * 8
        is_float = first.dtype == np.float32 and not bits
        info.exponent_bits_per_sample = 8 if is_float else 0
        info.uses_original_profile = lossless
        info.orientation = orientation
        info.num_color_channels = 1 if first.shape[2] < 3 else 3
        has_alpha = first.shape[2] % 2 == 0
        if has_alpha:
            info.alpha_bits = info.bits_per_sample
            info.alpha_exponent_bits = info.exponent_bits_per_sample
            info.alpha_premultiplied = premultiplied
        info.num_extra_channels = has_alpha + len(extra_channels)
        if any(frame.duration for frame in frames):
            info.have_animation = 1
            info.preview_and_animation[2] = info.preview_and_animation[3] = 1  # ticks per second
        library.JxlEncoderUseContainer(encoder, int(container))
        if info.bits_per_sample > 16 or any(kind == 4 for kind, _ in extra_channels):
            call("SetCodestreamLevel", 10)
        call("SetBasicInfo", byref(info))
        alpha = [(_ALPHA, first[..., -1])] if has_alpha else []
        for index, (kind, samples) in enumerate([*alpha, *extra_channels]):
            channel = ExtraChannelInfo()
            library.JxlEncoderInitExtraChannelInfo(c_int(kind), byref(channel))
            channel.bits_per_sample = bits or samples.itemsize * 8
            channel.exponent_bits_per_sample = 8 if is_float else 0
            channel.alpha_premultiplied = premultiplied and kind == _ALPHA
            call("SetExtraChannelInfo", index, byref(channel))
        if icc_profile is not None:
            call("SetICCProfile", icc_profile, len(icc_profile))
        else:
            encoding = ColourEncoding()
            grey = info.num_color_channels == 1
            library.JxlColorEncodingSetToSRGB(byref(encoding), c_int(grey))
            if colours is not None:
                encoding.white_point, encoding.primaries, encoding.transfer_function = colours
                encoding.gamma = gamma
            call("SetColorEncoding", byref(encoding))
        for frame in frames:
            _add_frame(library, encoder, frame, lossless, distance, effort, bits, extra_channels)
        library.JxlEncoderCloseInput(encoder)
        return _read_output(library, encoder)
    finally:
        library.JxlEncoderDestroy(encoder)


def encode_layers(layer: Frame, count: int, **options: object) -> bytes:
    """Encode the same layer many times, without the time that it takes to encode them all."""
    if count < 3:
        return encode(frames=[layer] * count, **options)
    three, four = (encode(frames=[layer] * number, **options) for number in (3, 4))
    middle = next((i for i, pair in enumerate(zip(three, four, strict=False)) if len({*pair}) > 1))
    repeated = four[middle : middle + len(four) - len(three)]
    return three[:middle] + repeated * (count - 3) + three[middle:]


def header(width: int, height: int) -> bytes:
    """Make the headers of an image without pixels (ISO/IEC 18181-1: SizeHeader, ImageMetadata)."""
    fields = [(0, 1), (3, 2), (height - 1, 30), (0, 3), (3, 2), (width - 1, 30), (1, 1), (1, 1)]
    bits, position = 0, 0
    for value, length in fields:  # the first bit is the least significant
        bits |= value << position
        position += length
    return b"\xff\x0a" + bits.to_bytes((position + 7) // 8, "little")


def _add_frame(library, encoder, frame, lossless, distance, effort, bits, extra_channels) -> None:
    settings = library.JxlEncoderFrameSettingsCreate(encoder, None)
    library.JxlEncoderFrameSettingsSetOption(settings, _EFFORT, effort)
    if lossless:
        assert library.JxlEncoderSetFrameLossless(settings, 1) == 0
    else:
        assert library.JxlEncoderSetFrameDistance(settings, distance) == 0
    pixels = np.ascontiguousarray(frame.pixels)
    header = _FrameHeader()
    library.JxlEncoderInitFrameHeader(byref(header))
    header.duration, header.have_crop = frame.duration, 1
    header.left, header.top = frame.left, frame.top
    header.height, header.width = pixels.shape[:2]
    header.blend = _BlendInfo(frame.blend if pixels.shape[2] % 2 == 0 else 0, 1, 0, 0)
    header.save_as_reference = 1
    assert library.JxlEncoderSetFrameHeader(settings, byref(header)) == 0
    if bits and pixels.dtype != np.float32:
        depth = (c_int * 3)(_FROM_CODESTREAM, 0, 0)
        assert library.JxlEncoderSetFrameBitDepth(settings, byref(depth)) == 0
    pixel_format = PixelFormat(pixels.shape[2], _DATA_TYPES[str(pixels.dtype)], 0, 0)
    address, size = pixels.ctypes.data, pixels.nbytes
    assert library.JxlEncoderAddImageFrame(settings, byref(pixel_format), address, size) == 0
    for index, (_, samples) in enumerate(extra_channels, start=pixels.shape[2] % 2 == 0):
        channel = np.ascontiguousarray(samples)
        pixel_format = PixelFormat(1, _DATA_TYPES[str(channel.dtype)], 0, 0)
        address, size = channel.ctypes.data, channel.nbytes
        status = library.JxlEncoderSetExtraChannelBuffer(
            settings, byref(pixel_format), address, size, index
        )
        assert status == 0


def _read_output(library, encoder) -> bytes:
    buffer, data, status = ctypes.create_string_buffer(1 << 16), b"", _NEED_MORE_OUTPUT
    while status == _NEED_MORE_OUTPUT:
        position, available = c_void_p(ctypes.addressof(buffer)), c_size_t(len(buffer))
        status = library.JxlEncoderProcessOutput(encoder, byref(position), byref(available))
        data += buffer.raw[: len(buffer) - available.value]
    assert status == 0
    return data


def _load_encoder() -> ctypes.CDLL:
    library = load_library()
    library.JxlEncoderCreate.restype = library.JxlEncoderFrameSettingsCreate.restype = c_void_p
    for name, types in {
        "Create": [c_void_p],
        "Destroy": [c_void_p],
        "CloseInput": [c_void_p],
        "UseContainer": [c_void_p, c_int],
        "SetCodestreamLevel": [c_void_p, c_int],
        "SetBasicInfo": [c_void_p, POINTER(BasicInfo)],
        "SetExtraChannelInfo": [c_void_p, c_size_t, POINTER(ExtraChannelInfo)],
        "SetICCProfile": [c_void_p, c_char_p, c_size_t],
        "SetColorEncoding": [c_void_p, POINTER(ColourEncoding)],
        "FrameSettingsCreate": [c_void_p, c_void_p],
        "FrameSettingsSetOption": [c_void_p, c_int, c_int64],
        "SetFrameLossless": [c_void_p, c_int],
        "SetFrameDistance": [c_void_p, c_float],
        "SetFrameHeader": [c_void_p, c_void_p],
        "SetFrameBitDepth": [c_void_p, c_void_p],
        "AddImageFrame": [c_void_p, POINTER(PixelFormat), c_void_p, c_size_t],
        "SetExtraChannelBuffer": [c_void_p, POINTER(PixelFormat), c_void_p, c_size_t, c_int],
        "ProcessOutput": [c_void_p, c_void_p, c_void_p],
    }.items():
        getattr(library, f"JxlEncoder{name}").argtypes = types
    return library
