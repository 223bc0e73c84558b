"""How the samples of a TIFF are stored, and what of it is refused."""

from dataclasses import dataclass

import numpy as np

from roi_ray.errors import ImageReadError, UnsupportedColour
from roi_ray.imaging.limits import check_pixel_count, check_tiles
from roi_ray.imaging.readers.tiff_directory import Directory, Tag

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
COLOUR_SAMPLES = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
"""Samples per pixel, without extra ones, by PhotometricInterpretation."""

_OTHER_COLOURS = {
    4: "a transparency mask",
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32844: "LogL (HDR)",
    32845: "LogLuv (HDR)",
}

UNCOMPRESSED, LZW, JPEG, PACKBITS, LZMA, ZSTD, WEBP = 1, 5, 7, 32773, 34925, 50000, 50001
DEFLATE = (8, 32946)
_COMPRESSIONS = (UNCOMPRESSED, LZW, JPEG, PACKBITS, LZMA, ZSTD, WEBP, *DEFLATE)
_OTHER_COMPRESSIONS = {
    **dict.fromkeys((2, 3, 4), "CCITT fax"),
    6: "JPEG of TIFF 6.0 (old style)",
    22610: "JPEG XR",
    32809: "ThunderScan",
    32908: "PixarFilm",
    32909: "PixarLog",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI Log",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG of DNG",
    34926: "Zstandard (provisional)",
    34927: "WebP (provisional)",
    34934: "JPEG XR",
    50002: "JPEG XL",
    52546: "JPEG XL of DNG",
}
_SAMPLE_FORMATS = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}

_MAX_SAMPLES = 8


@dataclass(frozen=True)
class Layout:
    """How samples are stored.

    Attributes:
        width: width of the image in pixels.
        height: height of the image in pixels.
        samples: samples per pixel, with alpha and other extra samples.
        bits: bits per sample, 1 to 16.
        photometric: PhotometricInterpretation.
        compression: Compression.
        predictor: 1 = none, 2 = horizontal differences.
        is_planar: whether each sample has its own strips or tiles.
        is_reversed: whether the lowest bit of each byte comes first (FillOrder 2).
        byte_order: `<` or `>`.
        is_tiled: whether the segments are tiles, which are stored at their full size.
        segment_width: width of a strip or tile.
        segment_height: height of a strip (except the last) or tile.
        jpeg_tables: abbreviated JPEG stream of the tables that all segments share.
    """

    width: int
    height: int
    samples: int
    bits: int
    photometric: int
    compression: int
    predictor: int
    is_planar: bool
    is_reversed: bool
    byte_order: str
    is_tiled: bool
    segment_width: int
    segment_height: int
    jpeg_tables: bytes | None = None

    @property
    def channels(self) -> int:
        """Samples per pixel of one segment."""
        return 1 if self.is_planar else self.samples

    @property
    def segments_per_plane(self) -> int:
        """Strips or tiles that cover the image once."""
        return -(-self.width // self.segment_width) * -(-self.height // self.segment_height)

    @property
    def segment_count(self) -> int:
        """Strips or tiles of the image."""
        return self.segments_per_plane * (self.samples if self.is_planar else 1)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of an uncompressed segment; rows begin at whole bytes."""
        return (self.segment_width * self.channels * self.bits + 7) // 8

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Type of the decoded samples."""
        return np.uint8 if self.bits <= 8 else np.uint16


def read_layout(directory: Directory, max_pixels: int) -> Layout:
    """Read and check how the samples are stored."""
    width = directory.read_number(Tag.IMAGE_WIDTH, 0)
    height = directory.read_number(Tag.IMAGE_LENGTH, 0)
    if not width or not height:
        raise ImageReadError(f"cannot be decoded: a TIFF of {width} x {height} pixels")
    check_pixel_count(width, height, max_pixels)
    photometric = _read_photometric(directory)
    compression = directory.read_number(Tag.COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        name = _OTHER_COMPRESSIONS.get(compression, f"scheme {compression}")
        raise ImageReadError(
            f"TIFF compression by {name} is not supported; save it with LZW or Deflate"
        )
    samples = directory.read_number(Tag.SAMPLES_PER_PIXEL, 1)
    is_tiled = Tag.TILE_OFFSETS in directory.entries
    if is_tiled:
        segment_width = directory.read_number(Tag.TILE_WIDTH, 0)
        segment_height = directory.read_number(Tag.TILE_LENGTH, 0)
    else:
        segment_width = width
        segment_height = min(directory.read_number(Tag.ROWS_PER_STRIP, height), height)
    layout = Layout(
        width=width,
        height=height,
        samples=samples,
        bits=_read_bits(directory, samples),
        photometric=photometric,
        compression=compression,
        predictor=directory.read_number(Tag.PREDICTOR, 1),
        is_planar=samples > 1 and directory.read_number(Tag.PLANAR_CONFIGURATION, 1) == 2,
        is_reversed=directory.read_number(Tag.FILL_ORDER, 1) == 2,
        byte_order=directory.byte_order,
        is_tiled=is_tiled,
        segment_width=segment_width,
        segment_height=segment_height,
        jpeg_tables=directory.read_bytes(Tag.JPEG_TABLES),
    )
    _check_samples(directory, layout)
    _check_segment_size(layout, max_pixels)
    return layout


def _read_photometric(directory: Directory) -> int:
    photometric = directory.read_number(Tag.PHOTOMETRIC, -1)
    if photometric in _OTHER_COLOURS:
        raise UnsupportedColour(
            f"a TIFF of {_OTHER_COLOURS[photometric]} is not supported; convert it to RGB"
        )
    if photometric not in COLOUR_SAMPLES:
        raise ImageReadError(
            "the TIFF does not say which colours it has (PhotometricInterpretation "
            f"{'is missing' if photometric < 0 else photometric}); save it as PNG"
        )
    if photometric == CMYK and directory.read_number(Tag.INK_SET, 1) != 1:
        raise UnsupportedColour(
            "a TIFF of inks other than CMYK is not supported; convert it to RGB"
        )
    return photometric


def _read_bits(directory: Directory, samples: int) -> int:
    bits = directory.read_numbers(Tag.BITS_PER_SAMPLE)[:samples].tolist() or [1]
    if len(set(bits)) != 1:
        raise ImageReadError(
            f"a TIFF whose samples have different depths ({', '.join(map(str, bits[:8]))} bits) is "
            "not supported; save it with 8 or 16 bits"
        )
    return int(bits[0])


def _check_samples(directory: Directory, layout: Layout) -> None:
    """Refuse samples that are not unsigned integers of at most 16 bits, or too many or few."""
    formats = set(directory.read_numbers(Tag.SAMPLE_FORMAT)[: layout.samples].tolist()) - {1, 4}
    if formats:
        names = {_SAMPLE_FORMATS.get(int(number), f"unknown ({number})") for number in formats}
        raise ImageReadError(
            f"a TIFF of {' and '.join(sorted(names))} samples is not supported: their range is "
            "unknown; save it with unsigned samples of 8 or 16 bits"
        )
    if not 1 <= layout.bits <= 16:
        raise ImageReadError(
            f"a TIFF of {layout.bits} bits per sample is not supported; save it with 8 or 16 bits"
        )
    colours = COLOUR_SAMPLES[layout.photometric]
    if not colours <= layout.samples <= _MAX_SAMPLES:
        raise ImageReadError(
            f"a TIFF of {layout.samples} samples per pixel, where {colours} to {_MAX_SAMPLES} are "
            "supported; save it as RGB or grey"
        )
    if directory.read_number(Tag.IMAGE_DEPTH, 1) > 1:
        raise ImageReadError("a TIFF of a volume is not supported; save one of its slices")
    if layout.predictor not in (1, 2):
        raise ImageReadError(
            f"the TIFF's predictor {layout.predictor} is not supported for unsigned samples; save "
            "it without a predictor"
        )
    is_plain = layout.samples == colours and not layout.is_planar
    if layout.photometric == YCBCR and not (layout.compression == JPEG and is_plain):
        raise ImageReadError(
            "a TIFF of YCbCr is supported only with JPEG compression, without separate planes or "
            "extra samples; save it as RGB"
        )
    if layout.compression == WEBP and layout.bits != 8:
        raise ImageReadError(
            f"a TIFF of WebP with {layout.bits} bits per sample is not supported; save it as PNG"
        )


def _check_segment_size(layout: Layout, max_pixels: int) -> None:
    """Limit what is decoded: whole tiles, which may be larger than the image."""
    width, height = layout.segment_width, layout.segment_height
    if not width or not height:
        raise ImageReadError(
            f"cannot be decoded: the TIFF has strips or tiles of {width} x {height} pixels"
        )
    if layout.is_tiled:
        check_tiles(width, height, layout.segments_per_plane, max_pixels)
