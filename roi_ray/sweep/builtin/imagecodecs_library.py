"""What the codecs of the package imagecodecs share."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roi_ray.imaging.pixels import bit_depth_of
from roi_ray.sweep.builtin.codec import make_missing_error
from roi_ray.sweep.builtin.options import Option, OptionValue
from roi_ray.sweep.source import SourceImage

SOURCE = "source"

DEPTH = Option(
    "depth", "bits per sample; source: 16 if the source has more than 8", SOURCE, (SOURCE, 8, 16)
)
"""The option of codecs that keep the bit depth of the source."""


def samples_of(image: SourceImage, depth: OptionValue) -> NDArray[Any]:
    """Return the pixels that an encoder gets.

    Args:
        image: the image.
        depth: 8, 16, or `source` for 16 if the image has more than 8 bits per sample.

    Returns:
        (H, W, 3), contiguous: uint8; or uint16, 0..65535.
    """
    if depth == SOURCE:
        depth = 8 if bit_depth_of(image.pixels) == 8 else 16
    return np.ascontiguousarray(image.at_bit_depth(int(depth)))


def require_library(format: str, get_version: Callable[[], str]) -> str:
    """Return the name and version of a library of imagecodecs, such as `libjxl 0.11.2`.

    Args:
        format: the format's name, for the message.
        get_version: function of imagecodecs, such as `imagecodecs.jpegxl_version`.

    Raises:
        CodecError: the installed imagecodecs is built without the library.
    """
    try:
        version = get_version()
    except ImportError as error:  # imagecodecs.DelayedImportError
        raise make_missing_error("imagecodecs", format) from error
    if version.endswith("n/a"):
        raise make_missing_error("imagecodecs", format)
    return version
