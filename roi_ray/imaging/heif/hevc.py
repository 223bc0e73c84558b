"""Read the colours and the range that an HEVC stream signals, for HEIC files without `nclx`.

Source: ITU-T H.265, clauses 7.3.2.2 (sequence parameter set) and E.2.1 (video usability
information); ISO/IEC 14496-15, 8.3.3.1 (`hvcC`).
"""

from collections.abc import Iterator
from typing import NamedTuple

from roi_ray.imaging.boxes import Fields
from roi_ray.imaging.heif.bits import BitReader
from roi_ray.imaging.raster import Cicp

_SPS = 33
_MAX_LENGTH = 4096
"""Bytes of a sequence parameter set that are read; real ones have less than 200."""


class VideoSignal(NamedTuple):
    """What a stream says about its samples.

    Attributes:
        cicp: primaries and transfer, if the stream gives them.
        is_full_range: whether black is 0, or else 16 (at 8 bits); None if the stream does not say.
    """

    cicp: Cicp | None = None
    is_full_range: bool | None = None


def read_video_signal(configuration: bytes) -> VideoSignal:
    """Read colours and range from the sequence parameter set of an `hvcC` property.

    Raises:
        ImageReadError: the property or the parameter set is truncated.
    """
    for unit in _read_parameter_sets(configuration):
        # An encoder inserts a 3 where the payload has two zeros before a small byte (7.3.1.1).
        payload = unit[2:_MAX_LENGTH].replace(b"\0\0\3", b"\0\0")
        return _read_sequence_parameters(BitReader(payload, "the HEVC sequence parameter set"))
    return VideoSignal()


def _read_parameter_sets(configuration: bytes) -> Iterator[bytes]:
    fields = Fields(configuration)
    fields.take(22)
    for _ in fields.entries(1):
        kind = fields.number(1) & 0x3F
        for _ in fields.entries(2):
            unit = fields.take(fields.number(2))
            if kind == _SPS:
                yield unit


def _read_sequence_parameters(bits: BitReader) -> VideoSignal:
    bits.read(4)
    sub_layers = bits.read(3)
    bits.read(1)
    _skip_profile(bits, sub_layers)
    _skip_codes(bits, 1)
    if bits.read_exp_golomb() == 3:  # chroma_format_idc
        bits.read(1)
    _skip_codes(bits, 2)  # width, height
    if bits.read(1):  # conformance_window_flag
        _skip_codes(bits, 4)
    _skip_codes(bits, 2)  # bit depths
    order_bits = bits.read_exp_golomb() + 4
    _skip_codes(bits, 3 * (sub_layers + 1 if bits.read(1) else 1))
    _skip_codes(bits, 6)  # sizes of blocks
    if bits.read(1) and bits.read(1):  # scaling lists
        _skip_scaling_lists(bits)
    bits.read(2)
    if bits.read(1):  # pcm_enabled_flag
        bits.read(8)
        _skip_codes(bits, 2)
        bits.read(1)
    _skip_reference_sets(bits)
    if bits.read(1):  # long_term_ref_pics_present_flag
        for _ in range(bits.read_exp_golomb()):
            bits.read(order_bits + 1)
    bits.read(2)
    return _read_usability(bits) if bits.read(1) else VideoSignal()


def _read_usability(bits: BitReader) -> VideoSignal:
    if bits.read(1) and bits.read(8) == 255:  # aspect ratio
        bits.read(32)
    if bits.read(1):  # overscan
        bits.read(1)
    if not bits.read(1):  # video_signal_type_present_flag
        return VideoSignal()
    bits.read(3)
    is_full_range = bool(bits.read(1))
    cicp = Cicp(bits.read(8), bits.read(8)) if bits.read(1) else None
    return VideoSignal(cicp, is_full_range)


def _skip_codes(bits: BitReader, count: int) -> None:
    for _ in range(count):
        bits.read_exp_golomb()


def _skip_profile(bits: BitReader, sub_layers: int) -> None:
    """Skip `profile_tier_level` (7.3.3)."""
    bits.read(96)
    flags = [(bits.read(1), bits.read(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.read(2 * (8 - sub_layers))
    for has_profile, has_level in flags:
        bits.read(88 * has_profile + 8 * has_level)


def _skip_scaling_lists(bits: BitReader) -> None:
    """Skip `scaling_list_data` (7.3.4)."""
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if bits.read(1):
                _skip_codes(bits, min(64, 16 << 2 * size) + (size > 1))
            else:
                _skip_codes(bits, 1)


def _skip_reference_sets(bits: BitReader) -> None:
    """Skip the `st_ref_pic_set`s (7.3.7)."""
    pictures = 0
    for index in range(bits.read_exp_golomb()):
        if index and bits.read(1):  # predicted from the set before
            bits.read(1)
            bits.read_exp_golomb()
            # used_by_curr_pic_flag, else use_delta_flag
            pictures = sum(bits.read(1) or bits.read(1) for _ in range(pictures + 1))
        else:
            pictures = bits.read_exp_golomb() + bits.read_exp_golomb()
            for _ in range(pictures):
                bits.read_exp_golomb()
                bits.read(1)
