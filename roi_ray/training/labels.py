"""A folder of images with a teacher's maps, and what each was made of."""

import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from PIL import Image

from roi_ray.errors import ManifestError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import Pixels
from roi_ray.io import storage
from roi_ray.training.files import read_cut_out, read_image, read_map
from roi_ray.training.pairs import Pair, read_pair, read_pairs
from roi_ray.training.teacher import Labeller
from roi_ray.training.views import (
    SourceNames,
    View,
    cut_out_object,
    has_object,
    trim_transparent_border,
)

_TABLE = "views.jsonl"
_TEACHER = "teacher.txt"
_KEPT = 0.8
"""Of each side, at least, by the crops of training: most views are crops already."""


@dataclass(frozen=True)
class SourceFiles:
    """What views are made of: URIs by name.

    Attributes:
        images: photographs.
        maps: theirs.
        cut_outs: objects to paste, images with an alpha channel, besides those that maps show.

    Raises:
        ManifestError: one has no map.
        ImageError, StorageError: a file cannot be read.
    """

    images: Mapping[str, str]
    maps: Mapping[str, str]
    cut_outs: Mapping[str, str] = field(default_factory=dict)

    def sources(self) -> SourceNames:
        """The names; every map is looked at."""
        objects = [name for name in self.images if has_object(self._map(name))]
        return SourceNames(list(self.images), [*objects, *self.cut_outs])

    def photograph(self, name: str) -> Image.Image:
        """RGB."""
        return Image.fromarray(read_image(self.images[name]))

    def cut_out(self, name: str) -> Image.Image:
        """A photograph's object, or a cut-out: RGBA, without the transparent border."""
        if name in self.cut_outs:
            return trim_transparent_border(Image.fromarray(read_cut_out(self.cut_outs[name])))
        return cut_out_object(read_image(self.images[name]), self._map(name))

    def _map(self, name: str) -> Pixels:
        if name not in self.maps:
            raise ManifestError(f"the image {self.images[name]} has no map")
        return read_map(self.maps[name])


def record_teacher(folder: str, teacher: str) -> None:
    """Make sure that all maps in a folder are of one teacher: `teacher.txt` says of which.

    Args:
        folder: local or `s3://`.
        teacher: SHA-256 of its file.

    Raises:
        ManifestError: they are of another.
    """
    uri = storage.join(folder, _TEACHER)
    if storage.is_file(uri):
        if (there := storage.read_bytes(uri).decode().strip()) != teacher:
            raise ManifestError(
                f"{folder} holds maps of another teacher, of SHA-256 {there}; name a new folder"
            )
    elif storage.list_files(storage.join(folder, "maps")):
        raise ManifestError(
            f"{folder} holds maps, and no {_TEACHER} that says whose; name a new folder, or write "
            "their teacher's SHA-256 into that file"
        )
    else:
        storage.write_bytes(uri, f"{teacher}\n".encode())


def hash_views_folder(folder: str) -> str:
    """What tells a folder of views from others of the same names: SHA-256 of whose and of what.

    Images and maps count by their bytes' number, for which none need be read.
    """
    files = (storage.join(folder, name) for name in (_TEACHER, _TABLE))
    found = [storage.read_bytes(file) for file in files if storage.is_file(file)]
    for kind in ("images", "maps"):
        found.append(json.dumps(storage.file_sizes(storage.join(folder, kind))).encode())
    return hashlib.sha256(b"".join(found)).hexdigest()


def write_labelled_view(
    folder: str, view: View, make: Callable[[], Pixels], teacher: Labeller
) -> None:
    """Make a view and ask the teacher about it.

    Written are `images/NAME.webp` and, when the teacher has seen what a reader of that file sees,
    `maps/NAME.png`.

    Args:
        folder: local or `s3://`.
        view: names the files.
        make: the view's pixels, uint8 (H, W, 3).
        teacher: their map.
    """
    image, mask = (storage.join(folder, path) for path in _paths(view))
    stream = io.BytesIO()
    Image.fromarray(make()).save(stream, "WEBP", quality=95)
    storage.write_bytes(image, stream.getvalue())
    answer = teacher(decode_image(stream.getvalue()))
    stream = io.BytesIO()
    Image.fromarray(answer).save(stream, "PNG")
    storage.write_bytes(mask, stream.getvalue())


def list_labelled_names(folder: str) -> set[str]:
    """The names of views in a folder that need no labelling any more."""
    images, maps = (
        {file.rsplit(".", 1)[0] for file in storage.list_files(storage.join(folder, kind))}
        for kind in ("images", "maps")
    )
    return images & maps


def write_views_table(folder: str, views: Iterable[View]) -> None:
    """Write down what each view was made of: `views.jsonl`."""
    lines = "".join(json.dumps(asdict(view)) + "\n" for view in views)
    storage.write_bytes(storage.join(folder, _TABLE), lines.encode())


def read_views_table(folder: str) -> list[View]:
    """What the views of a folder were made of.

    Raises:
        ManifestError: the folder has no table of views, or it is none.
        StorageError: it cannot be read.
    """
    uri = storage.join(folder, _TABLE)
    try:
        return [_view(line) for line in storage.read_bytes(uri).decode().splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"{uri} is no table of views: {error!r}") from error


def read_view_pairs(folder: str, held_out: Collection[str]) -> list[Pair]:
    """The views of a folder, without those that a held-out image is a part of.

    Args:
        folder: as `label` and `write_views_table` leave it; views without a map are left out.
        held_out: names of images that must not be trained on.

    Raises:
        ManifestError: as `read_views_table`.
        ImageError, StorageError: a file cannot be read.
    """
    pairs = []
    for view in list_training_views(folder, held_out):
        image, mask = (storage.join(folder, path) for path in _paths(view))
        pairs.append(read_pair(view.name, image, mask, _KEPT))
    return pairs


def list_training_views(folder: str, held_out: Collection[str]) -> list[View]:
    """Those views of a folder; arguments and errors: see `read_view_pairs`."""
    there, held = list_labelled_names(folder), set(held_out)
    return [
        view
        for view in read_views_table(folder)
        if not held.intersection(view.parents) and view.name in there
    ]


def read_training_pairs(
    images_folder: str, maps_folder: str, names: Collection[str], more: Sequence[str] = ()
) -> list[Pair]:
    """What N is trained on.

    Args:
        images_folder: of images.
        maps_folder: of the teacher's maps; see `read_pairs`.
        names: of the pairs that are trained on: hold out beforehand.
        more: folders of labelled views, of which those are trained on that no image of
            `images_folder` outside `names` is a part of; see `read_view_pairs`.

    Raises:
        ManifestError, ImageError, StorageError: as `read_pairs` and `read_view_pairs`.
    """
    every = read_pairs(images_folder, maps_folder)
    pairs = [pair for pair in every if pair.name in names]
    held_out = {pair.name for pair in every}.difference(names)
    for folder in more:
        pairs += read_view_pairs(folder, held_out)
    return pairs


def _view(line: str) -> View:
    row = json.loads(line)
    if not isinstance(row["parents"], list):
        raise TypeError("`parents` is not a list")
    return View(row["name"], row["kind"], tuple(row["parents"]))


def _paths(view: View) -> tuple[str, str]:
    return f"images/{view.name}.webp", f"maps/{view.name}.png"
