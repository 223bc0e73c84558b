"""Structures and functions of libjxl's C interface, in the build inside the package imagecodecs.

Layouts: libjxl 0.11, `jxl/decode.h`, `jxl/codestream_header.h`, `jxl/color_encoding.h`,
`jxl/types.h` and `jxl/memory_manager.h`.
"""

import ctypes
import importlib
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_size_t,
    c_uint8,
    c_uint32,
    c_void_p,
)
from enum import IntEnum
from functools import lru_cache
from typing import Any, ClassVar

from roi_ray.errors import ImageReadError

_MIN_VERSION, _VERSION_1 = 9_000, 1_000_000
"""0.9 has the functions used here; 1.0 may change the structures."""


class Event(IntEnum):
    """`JxlDecoderStatus`: why the decoder returned."""

    SUCCESS = 0
    ERROR = 1
    NEED_MORE_INPUT = 2
    NEED_IMAGE_OUT_BUFFER = 5
    BASIC_INFO = 0x40
    COLOR_ENCODING = 0x100
    FULL_IMAGE = 0x1000


class ExtraChannel(IntEnum):
    """`JxlExtraChannelType`."""

    ALPHA = 0
    DEPTH = 1
    SPOT_COLOUR = 2
    SELECTION_MASK = 3
    BLACK = 4
    CFA = 5
    THERMAL = 6
    OPTIONAL = 16


class BasicInfo(Structure):
    """`JxlBasicInfo`; width and height are those of the upright image."""

    _fields_: ClassVar = [
        ("have_container", c_int),
        ("width", c_uint32),
        ("height", c_uint32),
        ("bits_per_sample", c_uint32),
        ("exponent_bits_per_sample", c_uint32),
        ("intensity_target", c_float),
        ("min_nits", c_float),
        ("relative_to_max_display", c_int),
        ("linear_below", c_float),
        ("uses_original_profile", c_int),
        ("have_preview", c_int),
        ("have_animation", c_int),
        ("orientation", c_int),
        ("num_color_channels", c_uint32),
        ("num_extra_channels", c_uint32),
        ("alpha_bits", c_uint32),
        ("alpha_exponent_bits", c_uint32),
        ("alpha_premultiplied", c_int),
        ("preview_and_animation", c_uint32 * 6),
        ("intrinsic_width", c_uint32),
        ("intrinsic_height", c_uint32),
        ("padding", c_uint8 * 100),
    ]


class ColourEncoding(Structure):
    """`JxlColorEncoding`: colours by enumerated values."""

    _fields_: ClassVar = [
        ("color_space", c_int),
        ("white_point", c_int),
        ("white_point_xy", c_double * 2),
        ("primaries", c_int),
        ("primaries_xy", c_double * 6),
        ("transfer_function", c_int),
        ("gamma", c_double),
        ("rendering_intent", c_int),
    ]


class ExtraChannelInfo(Structure):
    """`JxlExtraChannelInfo`."""

    _fields_: ClassVar = [
        ("type", c_int),
        ("bits_per_sample", c_uint32),
        ("exponent_bits_per_sample", c_uint32),
        ("dim_shift", c_uint32),
        ("name_length", c_uint32),
        ("alpha_premultiplied", c_int),
        ("spot_color", c_float * 4),
        ("cfa_channel", c_uint32),
    ]


class PixelFormat(Structure):
    """`JxlPixelFormat`."""

    _fields_: ClassVar = [
        ("num_channels", c_uint32),
        ("data_type", c_int),
        ("endianness", c_int),
        ("align", c_size_t),
    ]


class BitDepth(Structure):
    """`JxlBitDepth`."""

    _fields_: ClassVar = [
        ("type", c_int),
        ("bits_per_sample", c_uint32),
        ("exponent_bits_per_sample", c_uint32),
    ]


AllocFunction = CFUNCTYPE(c_void_p, c_void_p, c_size_t)
FreeFunction = CFUNCTYPE(None, c_void_p, c_void_p)


class MemoryManager(Structure):
    """`JxlMemoryManager`."""

    _fields_: ClassVar = [("opaque", c_void_p), ("alloc", AllocFunction), ("free", FreeFunction)]


# Without argument types, ctypes would cut addresses and sizes to 32 bits.
_ARGUMENT_TYPES: dict[str, list[Any]] = {
    "JxlDecoderDestroy": [c_void_p],
    "JxlDecoderSubscribeEvents": [c_void_p, c_int],
    "JxlDecoderSetUnpremultiplyAlpha": [c_void_p, c_int],
    "JxlDecoderSetInput": [c_void_p, c_char_p, c_size_t],
    "JxlDecoderProcessInput": [c_void_p],
    "JxlDecoderGetBasicInfo": [c_void_p, POINTER(BasicInfo)],
    "JxlDecoderGetExtraChannelInfo": [c_void_p, c_size_t, POINTER(ExtraChannelInfo)],
    "JxlDecoderGetColorAsEncodedProfile": [c_void_p, c_int, POINTER(ColourEncoding)],
    "JxlDecoderGetICCProfileSize": [c_void_p, c_int, POINTER(c_size_t)],
    "JxlDecoderGetColorAsICCProfile": [c_void_p, c_int, c_void_p, c_size_t],
    "JxlDecoderSetOutputColorProfile": [c_void_p, POINTER(ColourEncoding), c_void_p, c_size_t],
    "JxlDecoderImageOutBufferSize": [c_void_p, POINTER(PixelFormat), POINTER(c_size_t)],
    "JxlDecoderSetImageOutBuffer": [c_void_p, POINTER(PixelFormat), c_void_p, c_size_t],
    "JxlDecoderSetImageOutBitDepth": [c_void_p, POINTER(BitDepth)],
}


@lru_cache(maxsize=1)
def load_library() -> ctypes.CDLL:
    """Load libjxl through the module of imagecodecs that is linked to it."""
    library = ctypes.CDLL(importlib.import_module("imagecodecs._jpegxl").__file__ or "")
    version = library.JxlDecoderVersion()
    if not _MIN_VERSION <= version < _VERSION_1:
        raise ImageReadError(
            f"libjxl {version / 1e6:.6f} in imagecodecs is not supported; install a release of "
            "imagecodecs with libjxl 0.9 to 0.x"
        )
    library.JxlDecoderCreate.argtypes = [POINTER(MemoryManager)]
    library.JxlDecoderCreate.restype = c_void_p
    for name, types in _ARGUMENT_TYPES.items():
        getattr(library, name).argtypes = types
    return library
