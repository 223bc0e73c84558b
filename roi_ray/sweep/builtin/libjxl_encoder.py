"""Encoder of libjxl by its C interface, in the build inside the package imagecodecs.

imagecodecs' own `jpegxl_encode` tags samples of 16 bits as linear light, and has no exact lossless
mode beside its lossy ones. Functions: libjxl 0.11, `jxl/encode.h`.
"""

import ctypes
from ctypes import POINTER, byref, c_float, c_int, c_int64, c_size_t, c_uint8, c_void_p
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import CodecError
from roi_ray.imaging.readers.libjxl_interface import (
    BasicInfo,
    ColourEncoding,
    PixelFormat,
    load_library,
)

_SUCCESS, _NEED_MORE_OUTPUT = 0, 2  # JxlEncoderStatus
_UINT8, _UINT16 = 2, 3  # JxlDataType
_EFFORT = 0  # JxlEncoderFrameSettingId

_ARGUMENT_TYPES: dict[str, list[Any]] = {
    "JxlEncoderDestroy": [c_void_p],
    "JxlEncoderInitBasicInfo": [POINTER(BasicInfo)],
    "JxlEncoderSetBasicInfo": [c_void_p, POINTER(BasicInfo)],
    "JxlColorEncodingSetToSRGB": [POINTER(ColourEncoding), c_int],
    "JxlEncoderSetColorEncoding": [c_void_p, POINTER(ColourEncoding)],
    "JxlEncoderFrameSettingsCreate": [c_void_p, c_void_p],
    "JxlEncoderSetFrameLossless": [c_void_p, c_int],
    "JxlEncoderSetFrameDistance": [c_void_p, c_float],
    "JxlEncoderFrameSettingsSetOption": [c_void_p, c_int, c_int64],
    "JxlEncoderAddImageFrame": [c_void_p, POINTER(PixelFormat), c_void_p, c_size_t],
    "JxlEncoderCloseInput": [c_void_p],
    "JxlEncoderProcessOutput": [c_void_p, POINTER(POINTER(c_uint8)), POINTER(c_size_t)],
    "JxlEncoderGetError": [c_void_p],
}


@lru_cache(maxsize=1)
def _load() -> ctypes.CDLL:
    library = load_library()
    for name, types in _ARGUMENT_TYPES.items():
        getattr(library, name).argtypes = types
    library.JxlEncoderCreate.argtypes = [c_void_p]
    library.JxlEncoderCreate.restype = c_void_p
    library.JxlEncoderFrameSettingsCreate.restype = c_void_p
    return library


def encode_jpegxl(samples: NDArray[Any], distance: float, effort: int) -> bytes:
    """Encode an sRGB image in the calling thread alone, as a bare codestream where that suffices.

    Args:
        samples: (H, W, 3), contiguous: uint8, or uint16 of 16 bits.
        distance: Butteraugli distance, 0.01..25; 0 is lossless.
        effort: 1 fast .. 10 small.

    Raises:
        CodecError: libjxl refuses the image or an option.
    """
    library = _load()
    encoder = library.JxlEncoderCreate(None)
    if not encoder:
        raise MemoryError("JxlEncoderCreate")
    try:
        _set_image(library, encoder, samples, is_lossless=distance == 0)
        settings = library.JxlEncoderFrameSettingsCreate(encoder, None)
        if distance == 0:
            _call(library, encoder, "JxlEncoderSetFrameLossless", settings, 1)
        else:
            _call(library, encoder, "JxlEncoderSetFrameDistance", settings, distance)
        _call(library, encoder, "JxlEncoderFrameSettingsSetOption", settings, _EFFORT, effort)
        data_type = _UINT8 if samples.dtype == np.uint8 else _UINT16
        pixel_format = PixelFormat(3, data_type, 0, 0)
        frame = (byref(pixel_format), samples.ctypes.data, samples.nbytes)
        _call(library, encoder, "JxlEncoderAddImageFrame", settings, *frame)
        library.JxlEncoderCloseInput(encoder)
        return _read_output(library, encoder, first_size=max(1 << 15, samples.nbytes // 8))
    finally:
        library.JxlEncoderDestroy(encoder)


def _set_image(
    library: ctypes.CDLL, encoder: int, samples: NDArray[Any], is_lossless: bool
) -> None:
    """Tell the size, the depth and the colours. A lossy image is coded in XYB, not in sRGB."""
    info = BasicInfo()
    library.JxlEncoderInitBasicInfo(byref(info))
    info.height, info.width = samples.shape[:2]
    info.bits_per_sample = 8 * samples.itemsize
    info.uses_original_profile = is_lossless
    _call(library, encoder, "JxlEncoderSetBasicInfo", encoder, byref(info))
    encoding = ColourEncoding()
    library.JxlColorEncodingSetToSRGB(byref(encoding), 0)
    _call(library, encoder, "JxlEncoderSetColorEncoding", encoder, byref(encoding))


def _read_output(library: ctypes.CDLL, encoder: int, first_size: int) -> bytes:
    parts, size, status = [], first_size, _NEED_MORE_OUTPUT
    while status == _NEED_MORE_OUTPUT:
        buffer = (c_uint8 * size)()
        position = ctypes.cast(buffer, POINTER(c_uint8))
        left = c_size_t(size)
        status = library.JxlEncoderProcessOutput(encoder, byref(position), byref(left))
        parts.append(memoryview(buffer)[: size - left.value])
        size *= 2
    _check(library, encoder, "JxlEncoderProcessOutput", status)
    return b"".join(parts)


def _call(library: ctypes.CDLL, encoder: int, name: str, *arguments: object) -> None:
    _check(library, encoder, name, getattr(library, name)(*arguments))


def _check(library: ctypes.CDLL, encoder: int, name: str, status: int) -> None:
    if status != _SUCCESS:
        number = library.JxlEncoderGetError(encoder)
        raise CodecError(f"libjxl refuses it ({name}, error {number})")
