"""The pictures of the gallery: cut, drawn and encoded so that the page stays small."""

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from roi_ray.imaging.pixels import Pixels8
from roi_ray.report.gallery.crops import Crop, choose_crop
from roi_ray.report.gallery.error_map import Map, choose_scale, draw_map, measure_difference

CROP_SIDES = (512, 448, 384, 320, 256, 192, 128)
"""Sides of crops in pixels; all crops of a gallery have the same, unless an image is smaller."""

_SAMPLE_SIDE = 256
"""Crops of this side are encoded to estimate the sizes of others."""
_THUMBNAIL_SIDE = 240
_SAMPLED_PIXELS = 1 << 20
_MASK_STEPS = 16
_MASK_COLOUR = (0, 158, 255)
_MASK_ALPHA = 0.4
_MASK_BANDS = 4


@dataclass(frozen=True, eq=False)
class Candidate:
    """What may be shown of an item: the largest crop of it, and a thumbnail.

    Attributes:
        size: height and width of the whole image.
        crop: the largest crop, of which smaller ones are taken.
        reference: its pixels, uint8, (h, w, 3).
        distorted: pixels of A, and of B where there is one.
        differences: their visible differences from the reference, (h, w).
        mask: levels of the region of interest, uint8, (h, w); None if there is none.
        thumbnail: the whole reference, as a WebP file.
    """

    size: tuple[int, int]
    crop: Crop
    reference: Pixels8
    distorted: tuple[Pixels8, ...]
    differences: tuple[Map, ...]
    mask: Pixels8 | None
    thumbnail: bytes

    def shrink(self, side: int) -> "Candidate":
        """Take the part of a smaller crop in which the errors differ most."""
        if side >= max(self.crop.width, self.crop.height):
            return self
        first, *more = self.differences
        part = choose_crop(first, more[0] if more else None, first.shape, side)
        cut = part.slices
        return replace(
            self,
            crop=part.within(self.crop),
            reference=self.reference[cut],
            distorted=tuple(image[cut] for image in self.distorted),
            differences=tuple(each[cut] for each in self.differences),
            mask=None if self.mask is None else self.mask[cut],
        )


@dataclass(frozen=True)
class Pictures:
    """The encoded pictures of an item.

    Attributes:
        crop: the part of the image that they show.
        scale: difference (CIEDE2000) that the strongest colour of the error maps stands for.
        mask_mean: mean of the mask over the part, 0..1; 0 if there is none.
        files: WebP files by role: `reference`, `a`, `b`, `error_a`, `error_b`, `mask`.
    """

    crop: Crop
    scale: float
    mask_mean: float
    files: Mapping[str, bytes]

    @property
    def size(self) -> int:
        """Number of characters in base64."""
        return sum(map(base64_size, set(self.files.values())))


def cut_candidate(
    reference: Pixels8, distorted: Sequence[Pixels8], mask: Pixels8 | None
) -> Candidate:
    """Choose and cut the largest crop of an item.

    Args:
        reference: the whole image, sRGB, uint8, (H, W, 3).
        distorted: the one or two candidates, likewise.
        mask: levels, uint8, (H, W), or None.
    """
    height, width = size = reference.shape[:2]
    step = max(1, round((height * width / _SAMPLED_PIXELS) ** 0.5))
    errors = [measure_difference(reference, image, step) for image in distorted]
    crop = choose_crop(errors[0], errors[1] if errors[1:] else None, size, CROP_SIDES[0], step)
    cut = crop.slices
    # Measured with what is around the crop, so that its edges are right; then copied, so that the
    # whole images can be freed.
    return Candidate(
        size,
        crop,
        reference[cut].copy(),
        tuple(image[cut].copy() for image in distorted),
        tuple(_measure_crop(reference, image, crop) for image in distorted),
        None if mask is None else mask[cut].copy(),
        _encode_thumbnail(reference),
    )


def encode_candidates(candidates: Sequence[Candidate], budget: int) -> list[Pictures | None]:
    """Encode the crops of all items, as large as a budget allows.

    Args:
        candidates: the items, the most important first.
        budget: number of characters in base64 of all pictures and thumbnails.

    Returns:
        The pictures of each item; None for the last ones, if not even the smallest crops fit.
    """
    left = budget - sum(base64_size(each.thumbnail) for each in candidates)
    with ThreadPoolExecutor() as pool:  # the encoder lets other threads work
        samples = list(pool.map(_encode, (each.shrink(_SAMPLE_SIDE) for each in candidates)))
        density = [each.size / (each.crop.width * each.crop.height) for each in samples]
        for side in CROP_SIDES:
            crops = [each.shrink(side) for each in candidates]
            expected = sum(
                per_pixel * each.crop.width * each.crop.height
                for per_pixel, each in zip(density, crops, strict=True)
            )
            if expected > left and side != CROP_SIDES[-1]:
                continue
            pictures = samples if side == _SAMPLE_SIDE else list(pool.map(_encode, crops))
            if sum(each.size for each in pictures) <= left:
                return list(pictures)
    spent = np.cumsum([each.size for each in pictures])
    return [each if total <= left else None for each, total in zip(pictures, spent, strict=True)]


def to_base64(file: bytes) -> str:
    """Encode a file for a `data:` URI."""
    return base64.b64encode(file).decode()


def base64_size(file: bytes) -> int:
    """Return the number of characters of a file in base64."""
    return 4 * -(-len(file) // 3)


def picture_name(file: bytes) -> str:
    """Name a picture by its content, so that equal ones are stored once."""
    return hashlib.sha256(file).hexdigest()[:16]


def _measure_crop(reference: Pixels8, image: Pixels8, crop: Crop) -> Map:
    margin = 8  # more than the blur reaches
    top, left = max(0, crop.top - margin), max(0, crop.left - margin)
    around = (
        slice(top, crop.top + crop.height + margin),
        slice(left, crop.left + crop.width + margin),
    )
    inner = Crop(crop.left - left, crop.top - top, crop.width, crop.height)
    return measure_difference(reference[around], image[around])[inner.slices].copy()


def _encode(candidate: Candidate) -> Pictures:
    scale = choose_scale(candidate.differences)
    files = {"reference": _encode_exactly(candidate.reference)}
    for name, image, differences in zip(
        "ab", candidate.distorted, candidate.differences, strict=False
    ):
        files[name] = _encode_exactly(image)
        files[f"error_{name}"] = _encode_exactly(draw_map(differences, scale))
    if candidate.mask is not None:
        files["mask"] = _encode_exactly(_draw_mask(candidate.mask))
    mean = 0.0 if candidate.mask is None else float(candidate.mask.mean()) / 255
    return Pictures(candidate.crop, scale, mean, files)


def _draw_mask(mask: Pixels8) -> Pixels8:
    """Draw a mask in one colour, the more opaque the more a pixel counts, with lines of level.

    Returns:
        RGBA, uint8, (H, W, 4).
    """
    steps = np.rint(mask / 255 * (_MASK_STEPS - 1)) / (_MASK_STEPS - 1)
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[..., :3] = _MASK_COLOUR
    rgba[..., 3] = np.rint(steps * _MASK_ALPHA * 255)
    bands = mask.astype(np.intp) * _MASK_BANDS // 256
    rgba[:-1, :, 3][bands[1:] != bands[:-1]] = 255
    rgba[:, :-1, 3][bands[:, 1:] != bands[:, :-1]] = 255
    rgba[rgba[..., 3] == 0] = 0
    return rgba


def _encode_exactly(pixels: Pixels8) -> bytes:
    """Encode as lossless WebP. `exact` keeps the colours of transparent pixels."""
    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(buffer, "WEBP", lossless=True, method=4, quality=80, exact=True)
    return buffer.getvalue()


def _encode_thumbnail(pixels: Pixels8) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=60, method=4)
    return buffer.getvalue()
