"""Further images to distil a saliency network from: views of photographs, for a teacher to map.

From a few hundred photographs a network learns where an object ends, but not which of several
objects the teacher picks. Crops of photographs ask that again among other neighbours, and objects
pasted into other photographs ask it anew.
"""

import hashlib
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from roi_ray.errors import ManifestError
from roi_ray.imaging.pixels import Pixels
from roi_ray.sweep.codecs import WEBP_LONGEST

_SIDE = 512
"""A view has at most as many pixels as a square of this side."""

_LANCZOS, _BICUBIC = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC


@dataclass(frozen=True)
class View:
    """An image to be made.

    Attributes:
        name: its file's, without the suffix.
        kind: `whole`: a photograph; `crop`: a part of one; `composite`: one with objects pasted in.
        parents: names of the images that it is made of, the photograph first.
    """

    name: str
    kind: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class SourceNames:
    """What views are made of, by name.

    Attributes:
        photographs: to be cropped and to be pasted into.
        objects: those whose map shows an object that can be cut out; see `has_object`.
    """

    photographs: Sequence[str]
    objects: Sequence[str]


class SourceImages(Protocol):
    """The images that views are made of, by name."""

    def photograph(self, name: str) -> Image.Image:
        """RGB."""

    def cut_out(self, name: str) -> Image.Image:
        """RGBA, without the transparent border."""


def plan_views(sources: SourceNames, crops: int, composites: int, seed: int) -> list[View]:
    """Which views to make: the same for the same arguments; the photographs take turns.

    Raises:
        ManifestError: there is nothing to make them of.
    """
    if not sources.photographs:
        raise ManifestError("there are no photographs to make views of")
    if composites and not sources.objects:
        raise ManifestError("there are no objects for composites: no map shows one")
    draw = random.Random(seed)
    turns: list[str] = []
    views = []
    for kind, count in (("crop", crops), ("composite", composites)):
        for number in range(count):
            turns = turns or draw.sample(sources.photographs, len(sources.photographs))
            parents = [turns.pop()]
            if kind == "composite":
                pasted = draw.choice((1, 1, 1, 2, 2, 3))
                parents += [draw.choice(sources.objects) for _ in range(pasted)]
            views.append(View(_name(kind, [seed, number, *parents]), kind, tuple(parents)))
    return views


def render_view(view: View, material: SourceImages) -> Pixels:
    """Make a view: the same for the same arguments.

    Args:
        view: of any kind; its name is the seed of the windows and of the objects' size, place,
            reflection and rotation.
        material: has its parents.

    Returns:
        uint8 (H, W, 3).
    """
    draw = random.Random(view.name)
    image = material.photograph(view.parents[0])
    if view.kind == "crop" or (view.kind == "composite" and draw.random() < 0.6):
        image = _crop(image, draw)
    image = _shrink(image)
    for name in view.parents[1:]:
        image = _paste(material.cut_out(name), image, draw)
    return np.asarray(image)


def has_object(mask: Pixels) -> bool:
    """Whether a map, uint8 (H, W), shows one thing, clearly: not the scene, not a guess."""
    share, sure = float(mask.mean()) / 255, float((mask > 229).mean())
    return 0.02 < share < 0.6 and sure > share / 2


def cut_out_object(image: Pixels, mask: Pixels) -> Image.Image:
    """The object that a map shows, RGBA: uint8 (H, W, 3) and (H, W), the alpha."""
    return trim_transparent_border(Image.fromarray(np.dstack([image, mask])))


def trim_transparent_border(image: Image.Image) -> Image.Image:
    """RGBA, without the border that is transparent."""
    return image.crop(image.getchannel("A").point(lambda value: 255 * (value > 60)).getbbox())


def _name(kind: str, made_of: Sequence[int | str]) -> str:
    """Another plan has other names: no file of one is taken for a file of the other."""
    return f"{kind}-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]}"


def _shrink(image: Image.Image) -> Image.Image:
    width, height = image.size
    ratio = min(_SIDE / math.sqrt(width * height), WEBP_LONGEST / max(width, height))
    if ratio >= 1:
        return image
    return image.resize((max(1, round(width * ratio)), max(1, round(height * ratio))), _LANCZOS)


def _crop(image: Image.Image, draw: random.Random) -> Image.Image:
    """A quarter to nine tenths of the area, of another aspect ratio; half of them reflected."""
    area, aspect = draw.uniform(0.25, 0.9), math.exp(draw.uniform(-0.5, 0.5))
    width, height = (
        max(1, min(side, round(side * math.sqrt(area * stretch))))
        for side, stretch in zip(image.size, (aspect, 1 / aspect), strict=True)
    )
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return _reflect(image.crop((left, top, left + width, top + height)), draw)


def _paste(thing: Image.Image, image: Image.Image, draw: random.Random) -> Image.Image:
    """A fifth to three quarters as long as the image, up to a quarter of it beyond the edge."""
    ratio = draw.uniform(0.2, 0.75) * math.sqrt(image.width * image.height) / max(thing.size)
    width, height = (max(1, round(side * ratio)) for side in thing.size)
    thing = _reflect(thing.resize((width, height), _LANCZOS), draw)
    if draw.random() < 0.3:
        thing = thing.rotate(draw.uniform(-30, 30), expand=True, resample=_BICUBIC)
    place = []
    for side, room in zip(thing.size, image.size, strict=True):
        beyond = side // 4
        place.append(draw.randint(-beyond, max(-beyond, room - side + beyond)))
    image = image.copy()
    image.paste(thing, (place[0], place[1]), thing)
    return image


def _reflect(image: Image.Image, draw: random.Random) -> Image.Image:
    flip = draw.random() < 0.5
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image
