"""Choose the part of large images that is shown."""

import hashlib

from roi_ray.votes.records import Crop


def choose_crop(width: int, height: int, side: int, key: str) -> Crop | None:
    """Choose the part of the images of a question that every rater sees.

    Its place follows from the key alone, and every place is equally likely.

    Args:
        width: width of the images in pixels.
        height: their height, likewise.
        side: largest width and height of the part in pixels.
        key: key of the question, see `make_key`.

    Returns:
        left, top, width and height; None if the images are not larger.

    Examples:
        >>> choose_crop(4000, 3000, 512, "52f1")
        (3069, 432, 512, 512)
        >>> choose_crop(512, 400, 512, "52f1") is None
        True
    """
    if width <= side and height <= side:
        return None
    digest = hashlib.sha256(f"crop {key}".encode()).digest()
    lengths = min(width, side), min(height, side)
    left, top = (
        int.from_bytes(part) % (whole - length + 1)
        for part, whole, length in zip(
            (digest[:16], digest[16:]), (width, height), lengths, strict=True
        )
    )
    return left, top, *lengths
