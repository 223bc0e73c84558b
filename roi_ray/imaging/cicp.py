"""Convert colours to sRGB by CICP code points (ITU-T H.273)."""

from typing import Any

from numpy.typing import NDArray

from roi_ray.errors import UnsupportedColour
from roi_ray.imaging.raster import Cicp


def convert_to_srgb(samples: NDArray[Any], bit_depth: int, cicp: Cicp) -> NDArray[Any]:
    """Return samples of sRGB unchanged; refuse others."""
    if cicp.primaries not in (1, 2) or cicp.transfer not in (2, 13):
        raise UnsupportedColour(f"CICP {cicp.primaries}/{cicp.transfer} at {bit_depth} bits")
    return samples
