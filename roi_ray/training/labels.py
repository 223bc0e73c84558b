"""Folders of views: images with a teacher's maps, and a table of the images each was made of.

FOLDER/images/NAME.webp  FOLDER/maps/NAME.png  FOLDER/views.jsonl  FOLDER/teacher.txt
"""

import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict

from PIL import Image

from roi_ray.errors import ManifestError
from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import Pixels8, to_8_bits
from roi_ray.io import storage
from roi_ray.training.pairs import Pair, read_pair, read_pairs
from roi_ray.training.views import View

_TABLE = "views.jsonl"
_TEACHER = "teacher.txt"
_MIN_CROP = 0.8
"""`Pair.min_crop` of views, larger than that of photographs, because most views are crops."""


def record_teacher(folder: str, sha256: str) -> None:
    """Record whose maps a folder holds, in `teacher.txt`.

    Args:
        folder: folder of views, local or `s3://`.
        sha256: SHA-256 of the teacher's file.

    Raises:
        ManifestError: the folder holds maps of another teacher, or of an unknown one.
    """
    uri = storage.join(folder, _TEACHER)
    if storage.is_file(uri):
        if (recorded := storage.read_bytes(uri).decode().strip()) != sha256:
            raise ManifestError(
                f"{folder} holds maps of another teacher, of SHA-256 {recorded}; name a new folder"
            )
    elif storage.list_files(storage.join(folder, "maps")):
        raise ManifestError(
            f"{folder} holds maps but no {_TEACHER}, which says whose they are; name a new folder, "
            f"or write the SHA-256 of their teacher into {uri}"
        )
    else:
        storage.write_bytes(uri, f"{sha256}\n".encode())


def write_labelled_view(
    folder: str,
    view: View,
    render: Callable[[], Pixels8],
    teacher: Callable[[Pixels8], Pixels8],
) -> None:
    """Render a view, and write it and the teacher's map of it.

    The map is written last, so an image without a map is a view to be written again. The teacher
    sees the compressed image, as the training will.

    Args:
        folder: folder of views, local or `s3://`.
        view: the view.
        render: function that returns the view's pixels, uint8 (H, W, 3).
        teacher: function from an image, uint8 (H, W, 3), to its map, uint8 (H, W), 255 = salient.
    """
    image_uri, map_uri = _uris(folder, view)
    image, mask = io.BytesIO(), io.BytesIO()
    Image.fromarray(render()).save(image, "WEBP", quality=95)
    storage.write_bytes(image_uri, image.getvalue())
    compressed = to_8_bits(decode_image(image.getvalue()))
    Image.fromarray(teacher(compressed)).save(mask, "PNG")
    storage.write_bytes(map_uri, mask.getvalue())


def list_labelled_names(folder: str) -> set[str]:
    """List the names of a folder's views that have an image and a map."""
    images, maps = (
        {file.rsplit(".", 1)[0] for file in storage.list_files(storage.join(folder, kind))}
        for kind in ("images", "maps")
    )
    return images & maps


def write_views_table(folder: str, views: Iterable[View]) -> None:
    """Write the table of views, `views.jsonl`, into their folder."""
    lines = "".join(json.dumps(asdict(view)) + "\n" for view in views)
    storage.write_bytes(storage.join(folder, _TABLE), lines.encode())


def read_views_table(folder: str) -> list[View]:
    """Read the table of a folder's views.

    Raises:
        ManifestError: a line of the table is not a view.
        StorageError: the table cannot be read.
    """
    uri = storage.join(folder, _TABLE)
    try:
        return [_parse_view(line) for line in storage.read_bytes(uri).decode().splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"{uri} is not a table of views: {error!r}") from error


def list_training_views(folder: str, held_out: Collection[str]) -> list[View]:
    """List a folder's views that have a map and no held-out parent.

    Args:
        folder: folder of views.
        held_out: names of images that must not be trained on.

    Raises:
        ManifestError, StorageError: as `read_views_table`.
    """
    labelled, excluded = list_labelled_names(folder), set(held_out)
    return [
        view
        for view in read_views_table(folder)
        if not excluded.intersection(view.parents) and view.name in labelled
    ]


def read_view_pairs(folder: str, held_out: Collection[str]) -> list[Pair]:
    """Read the views that `list_training_views` lists.

    Raises:
        ManifestError, StorageError: as `read_views_table`.
        ImageError: an image or a map cannot be decoded.
    """
    return [
        read_pair(view.name, *_uris(folder, view), _MIN_CROP)
        for view in list_training_views(folder, held_out)
    ]


def read_training_pairs(
    images_folder: str, maps_folder: str, names: Collection[str], view_folders: Sequence[str] = ()
) -> list[Pair]:
    """Read all pairs that a saliency training trains on.

    Args:
        images_folder: folder of images.
        maps_folder: folder of the teacher's maps; see `read_pairs`.
        names: names of the images to train on. The folder's other images are held out.
        view_folders: folders of views; views with a held-out parent are left out.

    Raises:
        ManifestError, ImageError, StorageError: as `read_pairs` and `read_view_pairs`.
    """
    all_pairs = read_pairs(images_folder, maps_folder)
    pairs = [pair for pair in all_pairs if pair.name in names]
    held_out = {pair.name for pair in all_pairs}.difference(names)
    for folder in view_folders:
        pairs += read_view_pairs(folder, held_out)
    return pairs


def hash_views_folder(folder: str) -> str:
    """Return a SHA-256 that changes with a folder's teacher, table, or names and sizes of files."""
    uris = (storage.join(folder, name) for name in (_TEACHER, _TABLE))
    content = [storage.read_bytes(uri) for uri in uris if storage.is_file(uri)]
    for kind in ("images", "maps"):
        content.append(json.dumps(storage.file_sizes(storage.join(folder, kind))).encode())
    return hashlib.sha256(b"".join(content)).hexdigest()


def _parse_view(line: str) -> View:
    row = json.loads(line)
    if not isinstance(row["parents"], list):
        raise TypeError("`parents` is not a list")
    return View(row["name"], row["kind"], tuple(row["parents"]))


def _uris(folder: str, view: View) -> tuple[str, str]:
    return (
        storage.join(folder, "images", f"{view.name}.webp"),
        storage.join(folder, "maps", f"{view.name}.png"),
    )
