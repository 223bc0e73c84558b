"""Decoder of libjxl, the reference implementation of JPEG XL (ISO/IEC 18181), by its C interface.

The library is the one inside the package `imagecodecs`. Its own `jpegxl_decode` tells neither bit
depth nor colours, and decodes before anything can be checked; OpenImageIO tells no bit depth. The C
interface reports size, depth and colours before it decodes, converts lossy images to sRGB in
floating point, and lets the caller limit memory.
"""

import ctypes
from ctypes import byref, c_int, c_size_t, c_void_p
from functools import lru_cache
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roi_ray.errors import ImageReadError
from roi_ray.imaging.readers.libjxl_interface import (
    AllocFunction,
    BasicInfo,
    BitDepth,
    ColourEncoding,
    Event,
    ExtraChannelInfo,
    FreeFunction,
    MemoryManager,
    PixelFormat,
    load_library,
)

_UINT16 = 3  # JxlDataType
_NATIVE_ENDIAN = 0  # JxlEndianness
_FROM_CODESTREAM = 1  # JxlBitDepthType
_ORIGINAL_PROFILE = 0  # JxlColorProfileTarget


@lru_cache(maxsize=1)
def _load_allocator() -> ctypes.CDLL:
    allocator = ctypes.CDLL(None)
    allocator.malloc.argtypes, allocator.malloc.restype = [c_size_t], c_void_p
    allocator.free.argtypes, allocator.free.restype = [c_void_p], None
    return allocator


class Memory:
    """Allocates memory for one decoder, up to a limit.

    Attributes:
        limit: bytes that may be allocated at a time.
        work_limit: bytes that may be allocated in all. Each layer of an image is decoded into new
            memory, so this limits the time that a small file of many layers takes.
        used: bytes that are allocated now.
        peak: largest number of bytes that were allocated at a time.
        work: bytes that were allocated in all.
        exceeded: whether an allocation was refused.
    """

    def __init__(self, limit: int, work_limit: int) -> None:
        """Set the limits."""
        self.limit, self.work_limit = limit, work_limit
        self.peak = self.work = self.used = 0
        self.exceeded = False
        self._sizes: dict[int, int] = {}
        self._libc = _load_allocator()
        self.manager = MemoryManager(None, AllocFunction(self._allocate), FreeFunction(self._free))

    def _allocate(self, _: object, size: int) -> int | None:
        if self.used + size > self.limit or self.work + size > self.work_limit:
            self.exceeded = True
            return None
        address: int | None = self._libc.malloc(size)
        if address:
            self._sizes[address] = size
            self.used += size
            self.work += size
            self.peak = max(self.peak, self.used)
        return address

    def _free(self, _: object, address: int | None) -> None:
        if address:
            self.used -= self._sizes.pop(address)
            self._libc.free(address)


class Decoder:
    """Decodes the first frame of one file, in the calling thread; use it in a `with` statement.

    Args:
        data: the file's content.
        memory: allocates the decoder's memory.
    """

    def __init__(self, data: bytes, memory: Memory) -> None:
        """Create a decoder of the file."""
        self._library, self._data, self._memory = load_library(), data, memory
        self._output: NDArray[Any] | None = None
        self._decoder = self._library.JxlDecoderCreate(byref(memory.manager))
        if not self._decoder:
            raise MemoryError("JxlDecoderCreate")

    def __enter__(self) -> "Decoder":
        """Give the file to the decoder."""
        self._call("SubscribeEvents", Event.BASIC_INFO | Event.COLOR_ENCODING | Event.FULL_IMAGE)
        self._call("SetUnpremultiplyAlpha", 1)
        self._call("SetInput", self._data, len(self._data))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free the decoder."""
        self._library.JxlDecoderDestroy(self._decoder)

    def advance(self) -> Event:
        """Decode up to the next event, which is `NEED_MORE_INPUT` if the file is truncated."""
        return Event(self._library.JxlDecoderProcessInput(self._decoder))

    def basic_info(self) -> BasicInfo:
        """Return size, depth and channels; after `BASIC_INFO`."""
        info = BasicInfo()
        self._call("GetBasicInfo", byref(info))
        return info

    def extra_channel_type(self, index: int) -> int:
        """Return the type of an extra channel; after `BASIC_INFO`."""
        info = ExtraChannelInfo()
        self._call("GetExtraChannelInfo", index, byref(info))
        return int(info.type)

    def original_encoding(self) -> ColourEncoding | None:
        """Return the original image's colours, None if they are an ICC profile."""
        encoding = ColourEncoding()
        status = self._library.JxlDecoderGetColorAsEncodedProfile(
            self._decoder, _ORIGINAL_PROFILE, byref(encoding)
        )
        return None if status else encoding

    def original_profile(self) -> bytes:
        """Return the original image's ICC profile; libjxl makes one of enumerated colours."""
        size = c_size_t()
        self._call("GetICCProfileSize", _ORIGINAL_PROFILE, byref(size))
        profile = ctypes.create_string_buffer(size.value)
        self._call("GetColorAsICCProfile", _ORIGINAL_PROFILE, profile, size)
        return profile.raw

    def convert_to_srgb(self, is_grey: bool) -> None:
        """Let a lossy (XYB) image be decoded to sRGB; after `COLOR_ENCODING`."""
        encoding = ColourEncoding()
        self._library.JxlColorEncodingSetToSRGB(byref(encoding), c_int(is_grey))
        self._call("SetOutputColorProfile", byref(encoding), None, 0)

    def set_output(self, samples: NDArray[np.uint16], scale_to_16_bits: bool) -> None:
        """Set where the image is decoded to; after `NEED_IMAGE_OUT_BUFFER`.

        Args:
            samples: (height, width, channels), contiguous.
            scale_to_16_bits: whether white is 65535, or else the largest sample of the image's
                bit depth.
        """
        pixel_format = PixelFormat(samples.shape[2], _UINT16, _NATIVE_ENDIAN, 0)
        size = c_size_t()
        self._call("ImageOutBufferSize", byref(pixel_format), byref(size))
        if size.value != samples.nbytes:
            raise ImageReadError(
                f"cannot be decoded: libjxl wants {size.value} bytes for {samples.shape} samples"
            )
        self._output = samples  # must live as long as the decoder
        address = samples.ctypes.data
        self._call("SetImageOutBuffer", byref(pixel_format), address, samples.nbytes)
        if not scale_to_16_bits:
            self._call("SetImageOutBitDepth", byref(BitDepth(_FROM_CODESTREAM, 0, 0)))

    def _call(self, name: str, *arguments: object) -> None:
        status = getattr(self._library, f"JxlDecoder{name}")(self._decoder, *arguments)
        if status != Event.SUCCESS:
            raise ImageReadError(
                f"cannot be decoded: the JPEG XL file is damaged (libjxl: {name}, {status})"
            )
