"""What the page shows of highlights: `page/assets/gallery.html` is filled with a `Gallery`."""

from dataclasses import dataclass

from markupsafe import Markup

from roi_ray.report.gallery.crops import Crop
from roi_ray.report.gallery.error_map import BLUR_PIXELS
from roi_ray.report.gallery.metrics import MetricRow
from roi_ray.report.page.page import to_script_json


@dataclass(frozen=True)
class Side:
    """A cell that an item shows.

    Attributes:
        letter: `A` or `B`.
        codec: the codec.
        point: what was asked for, such as `quality=35`; empty if unknown.
        bits: bits per pixel, as text; empty if unknown.
        file: URI of the distorted image, as written in the scores.
        is_exact: whether the crop shown equals the reference in every pixel.
    """

    letter: str
    codec: str
    point: str
    bits: str
    file: str
    is_exact: bool = False

    @property
    def name(self) -> str:
        """Codec and point: `avif, quality=35`."""
        return ", ".join(filter(None, (self.codec, self.point)))


@dataclass(frozen=True)
class Item:
    """One highlight, ready to be shown.

    Attributes:
        number: number of the item, from 1.
        kind: why it is shown, in two words.
        text: why it is shown, in a sentence.
        image: the `reference`, as written in the scores.
        sides: the one or two cells.
        metrics: their numbers.
        problem: why its pictures are not shown, in a sentence; None if they are.
        size: width and height of the whole image in pixels; None if it cannot be read.
        thumbnail: the whole reference, as a `data:` URI; empty if it cannot be read.
        crop: the part that is shown.
        scale: difference (CIEDE2000) of the strongest colour of the error maps.
        mask: where the mask that can be laid over is from, in words; None if there is none.
        mask_mean: mean of the mask over the part that is shown, 0..1.
        mask_problem: why there is no mask; None if there is one.
        pictures: names of the pictures by role, see `Pictures.files`.
    """

    number: int
    kind: str
    text: str
    image: str
    sides: tuple[Side, ...]
    metrics: tuple[MetricRow, ...]
    problem: str | None = None
    size: tuple[int, int] | None = None
    thumbnail: str = ""
    crop: Crop | None = None
    scale: float = 0.0
    mask: str | None = None
    mask_mean: float = 0.0
    mask_problem: str | None = None
    pictures: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """File name of the image without its folder and extension."""
        name = self.image.rstrip("/").split("/")[-1]
        return name.rsplit(".", 1)[0] or name


@dataclass(frozen=True)
class Gallery:
    """The gallery of a report.

    Attributes:
        items: the highlights, in their order.
        pictures: WebP files in base64, by name; each is there once.
        advice: what to do if no picture can be shown at all; None if one can.
        colours: colours of the error maps, from no difference to the largest, as CSS.
        blur: standard deviation of the blur before differences are measured, in pixels.
    """

    items: tuple[Item, ...]
    pictures: dict[str, str]
    advice: str | None
    colours: tuple[str, ...]
    blur: float = BLUR_PIXELS

    @property
    def size(self) -> int:
        """Number of characters of all pictures."""
        thumbnails = sum(len(item.thumbnail) for item in self.items)
        return sum(map(len, self.pictures.values())) + thumbnails

    @property
    def data(self) -> Markup:
        """What the viewer needs, as JSON for a `<script>` element."""
        items = [
            {
                "number": item.number,
                "title": item.title,
                "pictures": dict(item.pictures),
                "width": item.crop.width,
                "height": item.crop.height,
                "scale": item.scale,
                "sides": [
                    {
                        "letter": side.letter,
                        "name": side.name,
                        "bits": side.bits,
                        "exact": side.is_exact,
                    }
                    for side in item.sides
                ],
            }
            for item in self.items
            if item.crop
        ]
        return to_script_json({"items": items, "pictures": self.pictures})
