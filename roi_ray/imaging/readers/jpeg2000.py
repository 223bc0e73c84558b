"""Read JPEG 2000."""

from dataclasses import replace

from roi_ray.imaging.icc import read_jpeg2000_profile
from roi_ray.imaging.raster import Raster
from roi_ray.imaging.readers.pillow import read_pillow


def read_jpeg2000(data: bytes, max_pixels: int) -> Raster:
    """Read a JP2 file or a codestream."""
    raster = read_pillow(data, max_pixels, formats=("JPEG2000",))
    return replace(raster, icc_profile=read_jpeg2000_profile(data))
