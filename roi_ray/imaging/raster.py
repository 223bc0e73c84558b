"""A raster: what a reader takes from a file, before colours are converted to sRGB."""

from dataclasses import dataclass
from typing import NamedTuple

from roi_ray.imaging.pixels import Pixels8
from roi_ray.imaging.samples import Samples


class Cicp(NamedTuple):
    """Coding-independent code points (ITU-T H.273): how a file signals its colours.

    Attributes:
        primaries: ColourPrimaries; 1 = BT.709 (as in sRGB), 9 = BT.2020, 12 = Display P3,
            2 = unspecified.
        transfer: TransferCharacteristics; 13 = sRGB, 1 = BT.709, 8 = linear, 16 = PQ, 18 = HLG,
            2 = unspecified.
    """

    primaries: int
    transfer: int


@dataclass(frozen=True)
class Raster:
    """Samples of an image as its file stores them, and what the file says about them.

    Attributes:
        samples: uint8 for up to 8 bits, else uint16; (height, width, channels), where the channels
            are grey, R G B or C M Y K, and alpha last; 0..2^bit_depth - 1. Alpha is not
            premultiplied. They belong to the raster: `to_srgb` overwrites them.
        bit_depth: bits per sample, 8 to 16. Samples of fewer bits are scaled to 8.
        has_alpha: whether the last channel is alpha; its largest value is opaque.
        icc_profile: ICC profile of the samples, if the file has one.
        cicp: CICP code points, if the file signals them. They take precedence over `icc_profile`:
            a reader of a format where the profile comes first leaves them out.
        orientation: EXIF orientation, 1 to 8, that is still to be applied.
        palette: colours of the file's palette, uint8, (n, 3), if `samples` were indices of it.
    """

    samples: Samples
    bit_depth: int = 8
    has_alpha: bool = False
    icc_profile: bytes | None = None
    cicp: Cicp | None = None
    orientation: int = 1
    palette: Pixels8 | None = None
