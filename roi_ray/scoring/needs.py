"""How much memory work on images takes: upper bounds, at most about half above what was measured.

All are bytes on top of `DECODER_BASE` or `SCORER_BASE`, which a process takes without an image.
This module imports no torch until the need of scoring is asked for, as decode tasks use it.
"""

from collections.abc import Sequence

DECODER_BASE = 250 << 20
"""A decode task: Python, Ray, arrow, and the decoders' libraries."""
SCORER_BASE = {"cpu": 700 << 20, "cuda": 3500 << 20}
"""A scoring actor with the networks, by type of device: Python, Ray, torch."""

LARGE_CHUNK, MEDIUM_CHUNK, SMALL_CHUNK = 1 << 30, 256 << 20, 32 << 20
"""Bytes of the images of a chunk, where there is much memory, and where there is little."""
LARGE_IMAGES = 8
"""Large images for which the scorer does the work on their reference once: some rows per layer are
kept of each."""

_SCORING = 100 << 20
"""Bytes for the saliency network, which sees images of one size, and for small tensors."""
_WHOLE_BYTES = {"alex": 400, "squeeze": 400, "vgg": 1200, "st-alex": 750, "st-vgg": 1500}
"""Bytes per pixel of an image that is scored as a whole, and of its reference."""
_STRIP_BYTES = {"alex": 550, "squeeze": 550, "vgg": 3200, "st-alex": 1700, "st-vgg": 4600}
"""Bytes per pixel of a strip of a larger image, and of its reference."""
_KEPT_STRIP_BYTES = {"alex": 80, "squeeze": 80, "vgg": 250, "st-alex": 220, "st-vgg": 300}
"""Bytes per pixel of a strip that each further image of the call keeps."""

KEPT_BYTES = 512 << 20
"""Largest size of what the metrics prepare of a reference that is read in strips, if it is kept:
that of 4 megapixels with LPIPS `alex`."""
_PREPARED_BYTES = {"alex": 130, "squeeze": 250, "vgg": 580, "st-alex": 260, "st-vgg": 580}
"""Bytes of it per pixel, with all metrics."""
_PIXEL_BYTES = 24
"""Bytes per pixel of a reference's samples, float32, of its mask, and of the mask's weights."""


def image_bytes(pixels: int, bit_depth: int) -> int:
    """Return the bytes of a decoded image."""
    return 3 * pixels * (1 if bit_depth <= 8 else 2)


def chunk_images(pixels: int, bit_depth: int, chunk_bytes: int) -> int:
    """Return how many distorted images a chunk holds; see `is_chunk_full`."""
    sizes = [image_bytes(pixels, bit_depth)]
    while not is_chunk_full(sizes, chunk_bytes):
        sizes.append(sizes[0])
    return len(sizes)


def is_chunk_full(sizes: Sequence[int], chunk_bytes: int) -> bool:
    """Return whether a chunk takes no further image.

    Images of up to 4 MB fill 32 MiB. Of larger ones there are 8, if they fit into `chunk_bytes`,
    because the scorer works on a large reference once per chunk.

    Args:
        sizes: bytes of the images in the chunk; the next is expected to be like the last.
        chunk_bytes: largest number of bytes of several images.
    """
    total = sum(sizes)
    is_enough = total >= SMALL_CHUNK and len(sizes) >= LARGE_IMAGES
    return bool(sizes) and (is_enough or total + sizes[-1] > chunk_bytes)


_DECODING_BYTES = {"JPEG2000": 22, "HEIF": 14}
"""Bytes per pixel for an image of up to 8 bits, with the image: see `roi_ray/imaging/README.md`."""
_DECODING_BYTES_OF_OTHERS = 11
_FILES_AHEAD = 64 << 20


def decoding_need(pixels: int, bit_depth: int, image_format: str) -> int:
    """Return the bytes for decoding an image: its file, those read ahead, and what decoders take.

    Args:
        pixels: height times width.
        bit_depth: bits per sample.
        image_format: a name of `identify`.
    """
    file = image_bytes(pixels, bit_depth)  # a lossless one
    decoder = _DECODING_BYTES.get(image_format, _DECODING_BYTES_OF_OTHERS) * pixels
    deep = 2 * (image_bytes(pixels, bit_depth) - image_bytes(pixels, 8))
    return _FILES_AHEAD + file + decoder + deep


def scoring_need(pixels: int, images: int, lpips: str, device: str) -> int:
    """Return the bytes for scoring images against one reference; on a GPU, those of the host.

    Their pixels are not included, as they lie in the object store, or in the caller's arrays.

    Args:
        pixels: height times width.
        images: number of distorted images of the reference.
        lpips: name of the LPIPS network.
        device: `cpu` or `cuda`.
    """
    from roi_ray.metrics import strips

    if device != "cpu":
        return 32 * pixels  # pinned copies of samples
    if pixels <= strips.WHOLE_PIXELS:
        return _SCORING + _WHOLE_BYTES[lpips] * pixels
    strip = strips.STRIP_PIXELS[device]
    region = 8 * pixels  # the mask R, float32, and while it is made, its copy
    others = min(images, LARGE_IMAGES) - 1
    rows = strip * (_STRIP_BYTES[lpips] + _KEPT_STRIP_BYTES[lpips] * others)
    prepared = _PREPARED_BYTES[lpips] * pixels
    return _SCORING + region + rows + (prepared if prepared <= KEPT_BYTES else 0)


def prepared_need(pixels: int, lpips: str) -> int:
    """Return the bytes of a prepared reference that is kept, with its pixels.

    Args:
        pixels: height times width.
        lpips: name of the LPIPS network.
    """
    from roi_ray.metrics import strips

    rows = _PREPARED_BYTES[lpips] * pixels
    is_kept = pixels <= strips.WHOLE_PIXELS or rows <= KEPT_BYTES
    return _PIXEL_BYTES * pixels + (rows if is_kept else 0)


def largest_scoring_need(pixels: int, images: int, lpips: str, device: str) -> int:
    """Return the largest `scoring_need` of images of up to this number of pixels.

    The largest images that are scored as a whole, and the largest whose preparation is kept, need
    more than somewhat larger ones.
    """
    from roi_ray.metrics import strips

    peaks = (strips.WHOLE_PIXELS, KEPT_BYTES // _PREPARED_BYTES[lpips])
    sizes = (pixels, *(min(pixels, peak) for peak in peaks))
    return max(scoring_need(size, images, lpips, device) for size in sizes)
