"""Files of more than 8 bits, and of formats that Pillow does not write, for the hostile corpora."""

import imagecodecs
import numpy as np

from roi_ray.imaging.pixels import Pixels8


def deep_files(photo: Pixels8) -> dict[str, bytes]:
    """Encode a photograph in each of these formats, by a name of the file."""
    wide = photo.astype(np.uint16) * 257
    return {"PNG of 16 bits": imagecodecs.png_encode(wide)}
