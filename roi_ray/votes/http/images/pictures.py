"""Make of an image file what a browser shows: the same pixels, whatever the format was.

Runs in a process of its own, see `processes`: a hostile file may kill its decoder.
"""

import io
from dataclasses import dataclass

from PIL import Image

from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.load import read_image_file
from roi_ray.imaging.pixels import to_8_bits
from roi_ray.io.allowlist import Allowlist
from roi_ray.votes.questions.crops import choose_crop
from roi_ray.votes.records import Crop

_MAX_WEBP_SIDE = 16383


@dataclass(frozen=True)
class Window:
    """The part of an image that is shown.

    Attributes:
        crop: the part; None for the whole image, or for one that is chosen.
        side: side of the part that is chosen, in pixels; None if none is.
        key: key of the question that it is chosen for.
    """

    crop: Crop | None = None
    side: int | None = None
    key: str = ""

    def place(self, width: int, height: int) -> Crop | None:
        """Return the part of an image of this size.

        Examples:
            >>> Window(crop=(8, 8, 64, 64)).place(100, 100), Window().place(100, 100)
            ((8, 8, 64, 64), None)
        """
        if self.side is None:
            return self.crop
        return choose_crop(width, height, self.side, self.key)


@dataclass(frozen=True)
class Picture:
    """An image that a browser shows.

    Attributes:
        data: a file, lossless, sRGB of 8 bits per sample.
        media_type: its type.
        size: width and height of the whole image, in pixels.
        crop: the part of it that `data` has; None for all.
    """

    data: bytes
    media_type: str
    size: tuple[int, int]
    crop: Crop | None

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height of the part that `data` has."""
        return self.size if self.crop is None else self.crop[2:]


def render_picture(uri: str, window: Window, max_pixels: int, allowlist: Allowlist) -> Picture:
    """Read an image file and encode what is shown of it.

    Args:
        uri: absolute URI of the file.
        window: the part that is shown.
        max_pixels: largest image that is decoded.
        allowlist: folders whose files may be opened.

    Raises:
        ImageError: the file cannot be shown; its text names the file, and raters must not see it.
        AccessError, StorageUnavailable: the storage fails, which is not the fault of the file.

    Examples:
        >>> from roi_ray.io.allowlist import build_allowlist
        >>> from roi_ray.sweep import photographs
        >>> path = photographs()["chelsea"]
        >>> window, allowlist = Window(crop=(100, 50, 96, 64)), build_allowlist(str(path.parent))
        >>> picture = render_picture(str(path), window, 1 << 20, allowlist)
        >>> picture.size, picture.shown_size, picture.media_type
        ((451, 300), (96, 64), 'image/webp')
    """
    allowlist.check(uri)
    pixels = to_8_bits(decode_image(read_image_file(uri, allowlist=allowlist), max_pixels))
    height, width = pixels.shape[:2]
    crop = window.place(width, height)
    if crop is not None:
        left, top, crop_width, crop_height = crop
        pixels = pixels[top : top + crop_height, left : left + crop_width]
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    if max(image.size) <= _MAX_WEBP_SIDE:
        # Fast: 40 ms per megapixel, and 8 % larger than with the slowest method.
        image.save(buffer, "WEBP", lossless=True, method=0, quality=0)
        media_type = "image/webp"
    else:
        image.save(buffer, "PNG", compress_level=1)
        media_type = "image/png"
    return Picture(buffer.getvalue(), media_type, (width, height), crop)
