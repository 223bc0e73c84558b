"""Score one image, or a few, with one call: no manifest, no Ray."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar, cast, overload

from roi_ray.errors import ImageError
from roi_ray.imaging.load import ImageSource, load_image, load_mask
from roi_ray.imaging.pixels import Pixels, Pixels8, check_size
from roi_ray.runtime.device import find_device
from roi_ray.schema import Scores
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import MAX_PIXELS, Settings

_CACHED_SCORERS = 4
"""Number of settings whose networks stay loaded."""

_Array = TypeVar("_Array", Pixels, Pixels8)


@overload
def score(  # type: ignore[overload-overlap]  # a str is a Sequence of str
    reference: ImageSource,
    distorted: ImageSource,
    *,
    mask: ImageSource | None = None,
    settings: Settings | None = None,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    allow_slow_precision: bool = False,
) -> Scores: ...


@overload
def score(
    reference: ImageSource,
    distorted: Sequence[ImageSource],
    *,
    mask: ImageSource | None = None,
    settings: Settings | None = None,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    allow_slow_precision: bool = False,
) -> list[Scores]: ...


def score(
    reference: ImageSource,
    distorted: ImageSource | Sequence[ImageSource],
    *,
    mask: ImageSource | None = None,
    settings: Settings | None = None,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    allow_slow_precision: bool = False,
) -> Scores | list[Scores]:
    """Compare a distorted image, or several, with their reference.

    The networks are loaded by the first call and stay loaded, per settings and device. Give all
    images of a reference in one list: the reference is then prepared once.

    Args:
        reference: the original: a path, `file://` or `s3://` URI, the bytes of an image file, an
            array of sRGB values (height, width, 3), uint8 or a `roi_ray.HighBitDepthImage`, or a
            Pillow image. Each image is scored at its own bit depth.
        distorted: an image of the same size, likewise, or a list or tuple of them. Its bit depth
            may differ from that of the reference.
        mask: region of interest, white inside: a grey image of the same size, of any bit depth and
            rounded to 8 bits, or an array (height, width), uint8 (0 outside to 255 inside) or bool.
            None to let the saliency network find where people look.
        settings: networks and options of the metrics; None for the defaults.
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` takes a GPU if there is one.
        max_pixels: largest width times height that is decoded.
        allow_slow_precision: see `Scorer`.

    Returns:
        the scores; for a list, one `Scores` per image, in its order.

    Raises:
        ImageReadError: a file is missing or not an image, or an array has another type or shape.
        ImageTooLarge: an image has more than `max_pixels` pixels.
        UnsupportedColour: the colours of an image have no equivalent in sRGB, such as HDR.
        ImageTooSmall: a side is below 11 pixels.
        UnusableMask: the values of the mask are not levels, such as 0 and 1; see `load_mask`.
        SizeMismatch: an image or the mask has another size than the reference.
        DeviceError: the device is not available, or the precision is too slow on it.
        OutOfMemory: an image needs more memory than is available.
        WeightsError: a network of the settings cannot be loaded.

    Examples:
        >>> from roi_ray.sweep import photographs
        >>> photo = load_image(photographs()["chelsea"])
        >>> scores = score(photo, photo // 2 + 64)
        >>> scores  # doctest: +ELLIPSIS
        Scores(451 x 300, mse=0.007443, psnr=21.28 dB, mse_y=..., ms_ssim=..., roi_fraction=...)
        >>> round(scores.psnr, 1)
        21.3
        >>> [round(each.psnr, 1) for each in score(photo, [photo, photo // 2 + 64])]
        [100.0, 21.3]

        An original of 10 bits, and an image of 8 bits:

        >>> import numpy as np
        >>> from roi_ray import HighBitDepthImage
        >>> original = HighBitDepthImage(photo.astype(np.uint16) * 4 + 1, bit_depth=10)
        >>> scores = score(original, photo)
        >>> (scores.reference_bit_depth, scores.distorted_bit_depth), round(scores.psnr, 1)
        ((10, 8), 64.5)
    """
    several = isinstance(distorted, Sequence) and not isinstance(distorted, str | bytes)
    sources = cast(Sequence[ImageSource], distorted if several else [distorted])
    original = load_named("reference", load_image, reference, max_pixels)
    region = None if mask is None else load_named("mask", load_mask, mask, max_pixels, original)
    images = [
        load_named(f"distorted image {number}", load_image, source, max_pixels, original)
        for number, source in enumerate(sources, start=1)
    ]
    scorer = load_scorer(settings or Settings(), str(find_device(device)), allow_slow_precision)
    scores = scorer.score(scorer.prepare(original, region), images)
    return scores if several else scores[0]


def load_named(
    name: str,
    load: Callable[[ImageSource, int], _Array],
    source: ImageSource,
    max_pixels: int,
    reference: Pixels | None = None,
) -> _Array:
    """Load an image and check its size.

    Args:
        name: what the image is, which begins the message of an error.
        load: `load_image` or `load_mask`.
        source: see `score`.
        max_pixels: largest width times height that is decoded.
        reference: pixels whose size the image must have.
    """
    try:
        pixels = load(source, max_pixels)
        if reference is not None:
            check_size(pixels, reference)
    except ImageError as error:
        raise type(error)(f"{name}: {error}") from error
    return pixels


@lru_cache(maxsize=_CACHED_SCORERS)
def load_scorer(settings: Settings, device: str, allow_slow_precision: bool) -> Scorer:
    """Load a scorer, or take one of the last few that were loaded."""
    return Scorer(settings, device, allow_slow_precision=allow_slow_precision)
