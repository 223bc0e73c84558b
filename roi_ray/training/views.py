"""Views: further images to distil a saliency network from, made of photographs.

From a few hundred photographs, a network learns where an object ends, but not which of several
objects the teacher picks. Crops show the same objects among other neighbours, and composites show
objects pasted into other photographs.
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
from roi_ray.imaging.pixels import Pixels8
from roi_ray.sweep.builtin.pillow import WEBP_MAX_SIDE

_SIDE = 512
"""A view has at most as many pixels as a square of this side."""

_LANCZOS, _BICUBIC = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC


@dataclass(frozen=True)
class View:
    """Plan of a view.

    Attributes:
        name: name of its files without suffix, and the seed of its random choices.
        kind: `whole` for a photograph, `crop` for a part of one, `composite` for one with objects
            pasted in.
        parents: names of the images that it is made of, the photograph first.
    """

    name: str
    kind: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class SourceNames:
    """Names of the images that views are made of.

    Attributes:
        photographs: images to crop and to paste into.
        objects: images whose object can be pasted.
    """

    photographs: Sequence[str]
    objects: Sequence[str]


class SourceImages(Protocol):
    """Images that views are made of."""

    def read_photograph(self, name: str) -> Image.Image:
        """Return a photograph as RGB."""

    def read_object(self, name: str) -> Image.Image:
        """Return an object as RGBA, without transparent border."""


def plan_views(sources: SourceNames, crops: int, composites: int, seed: int) -> list[View]:
    """Plan crops and composites; the same arguments give the same plan.

    Args:
        sources: names of the images; the photographs take turns.
        crops: number of crops.
        composites: number of composites.
        seed: seed of the choice of images; another seed gives views of other names.

    Raises:
        ManifestError: there are no photographs, or no objects for composites.
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
            views.append(View(_view_name(kind, [seed, number, *parents]), kind, tuple(parents)))
    return views


def render_view(view: View, sources: SourceImages) -> Pixels8:
    """Render a view; the same arguments give the same pixels.

    Args:
        view: view of any kind; its name seeds the crop, and the objects' size, position, reflection
            and rotation.
        sources: images that the view is made of.

    Returns:
        uint8, (H, W, 3).
    """
    draw = random.Random(view.name)
    image = sources.read_photograph(view.parents[0])
    if view.kind == "crop" or (view.kind == "composite" and draw.random() < 0.6):
        image = _crop(image, draw)
    image = _shrink(image)
    for name in view.parents[1:]:
        image = _paste(sources.read_object(name), image, draw)
    return np.asarray(image)


def shows_object(mask: Pixels8) -> bool:
    """Return whether a map, uint8 (H, W), shows an object clearly: not a whole scene or a guess."""
    fraction, certain = float(mask.mean()) / 255, float((mask > 229).mean())
    return 0.02 < fraction < 0.6 and certain > fraction / 2


def cut_out_object(image: Pixels8, mask: Pixels8) -> Image.Image:
    """Cut out the object that a map shows.

    Args:
        image: uint8, (H, W, 3).
        mask: map of the image, uint8, (H, W), which becomes the alpha channel.

    Returns:
        RGBA, without transparent border.
    """
    return crop_to_object(Image.fromarray(np.dstack([image, mask])))


def crop_to_object(image: Image.Image) -> Image.Image:
    """Crop off an RGBA image's transparent border."""
    return image.crop(image.getchannel("A").point(lambda value: 255 * (value > 60)).getbbox())


def _view_name(kind: str, identity: Sequence[int | str]) -> str:
    """Return a name that differs between plans, so that plans never share files."""
    return f"{kind}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]}"


def _shrink(image: Image.Image) -> Image.Image:
    width, height = image.size
    ratio = min(_SIDE / math.sqrt(width * height), WEBP_MAX_SIDE / max(width, height))
    if ratio >= 1:
        return image
    return image.resize((max(1, round(width * ratio)), max(1, round(height * ratio))), _LANCZOS)


def _crop(image: Image.Image, draw: random.Random) -> Image.Image:
    """Crop to 25-90 % of the area at another aspect ratio, and reflect half of the time."""
    area, aspect = draw.uniform(0.25, 0.9), math.exp(draw.uniform(-0.5, 0.5))
    width, height = (
        max(1, min(side, round(side * math.sqrt(area * stretch))))
        for side, stretch in zip(image.size, (aspect, 1 / aspect), strict=True)
    )
    left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
    return _reflect(image.crop((left, top, left + width, top + height)), draw)


def _paste(cut_out: Image.Image, image: Image.Image, draw: random.Random) -> Image.Image:
    """Paste an object of 20-75 % of the image's length, up to a quarter of it over the edge."""
    ratio = draw.uniform(0.2, 0.75) * math.sqrt(image.width * image.height) / max(cut_out.size)
    width, height = (max(1, round(side * ratio)) for side in cut_out.size)
    cut_out = _reflect(cut_out.resize((width, height), _LANCZOS), draw)
    if draw.random() < 0.3:
        cut_out = cut_out.rotate(draw.uniform(-30, 30), expand=True, resample=_BICUBIC)
    position = []
    for side, image_side in zip(cut_out.size, image.size, strict=True):
        overhang = side // 4
        position.append(draw.randint(-overhang, max(-overhang, image_side - side + overhang)))
    image = image.copy()
    image.paste(cut_out, (position[0], position[1]), cut_out)
    return image


def _reflect(image: Image.Image, draw: random.Random) -> Image.Image:
    flip = draw.random() < 0.5
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image
