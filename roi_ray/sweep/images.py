"""Find the originals of a sweep: images of a folder, those that a manifest names, or one file."""

import hashlib
import re
from dataclasses import dataclass
from typing import NoReturn

import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.io.allowlist import build_allowlist
from roi_ray.io.columns import as_text, check_columns, check_filled
from roi_ray.io.formats import SUFFIXES, file_suffix
from roi_ray.io.tables import find_table_files
from roi_ray.pipeline.status import CELLS
from roi_ray.runtime.logs import LOGGER
from roi_ray.sweep.carried import carry_columns

ENCODED, DECODED = "encoded", "decoded"
"""Folders of a sweep for the encoded files, and for what a codec's own decoder made of them."""

_SUFFIXES = """
.png .apng .jpg .jpeg .jfif .jpe .jls .ljpg .jxl .webp .avif .avifs .heic .heif .hif .jp2 .j2k .j2c
.jpc .jpx .jph .jhc .jxr .wdp .hdp .tif .tiff .bmp .dib .gif .ppm .pgm .pbm .pnm
"""
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
"""Suffixes of the files of a folder that are taken for images."""

_SHARD_OF_CELLS = re.compile(rf"(?:(.*)/)?{CELLS}/shard-\d+\.parquet")
_MAX_NAME_BYTES = 200  # file systems allow 255; the quality and a suffix are added
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\:*?\"<>|]")


@dataclass(frozen=True)
class Images:
    """The originals of a sweep.

    Attributes:
        base: URI of the folder that they are in, or that their manifest is in.
        uris: absolute URI of each, in order and without repetition.
        names: path of each in the folders of the sweep; a function of its URI and `base`.
        masks: absolute URI of the mask of each, or None; None if no image has one.
        columns: further columns of the manifest that names them, a row per image; None without.
    """

    base: str
    uris: tuple[str, ...]
    names: tuple[str, ...]
    masks: tuple[str | None, ...] | None = None
    columns: pa.Table | None = None


def find_images(uri: str, output: str, limit: int | None = None) -> Images:
    """Find the originals of a sweep.

    Args:
        uri: a folder, whose images are taken at any depth; a manifest with the column `reference`
            and, optionally, `mask` and further columns of the images; or an image. Local or in an
            object store.
        output: folder of the sweep. Files that it, or another sweep below the folder of images,
            has encoded and decoded are left out.
        limit: number of images to take from the start; None for all.

    Raises:
        ManifestError: there is no image, or the manifest cannot be used.
        StorageError: the folder cannot be listed.
    """
    uri, output = storage.absolute(uri), storage.absolute(output)
    if file_suffix(uri) in SUFFIXES:
        return _read_references(uri, limit)
    if storage.is_folder(uri):
        paths = storage.list_tree(uri)
        sweeps = [output, *(storage.join(uri, path) for path in _find_sweeps(paths))]
        made = build_allowlist(
            storage.join(output, ENCODED),
            [storage.join(each, name) for each in sweeps for name in (ENCODED, DECODED)],
        )
        images = [path for path in paths if file_suffix(path) in IMAGE_SUFFIXES]
        images = [path for path in images if not made.allows(storage.join(uri, path))]
        if not images and any(file_suffix(path) in SUFFIXES for path in paths):
            return _read_references(uri, limit)
        if not images:
            raise ManifestError(
                f"{uri} contains no image: none of its {len(paths)} files has a suffix such as "
                ".png, .jpg or .tif"
            )
        if others := len(paths) - len(images):
            LOGGER.info("%s: %d images; %d other files are left out", uri, len(images), others)
        return _make_images(uri, [storage.join(uri, path) for path in images[:limit]])
    if not storage.is_file(uri):
        raise ManifestError(f"no such file or folder: {uri}")
    return _make_images(storage.parent(uri), [uri])


def _find_sweeps(paths: list[str]) -> set[str]:
    """Find the folders of sweeps, relative as the paths are: those that have shards of cells."""
    return {match[1] or "" for path in paths if (match := _SHARD_OF_CELLS.fullmatch(path))}


def _read_references(uri: str, limit: int | None) -> Images:
    """Take the distinct references of a manifest, each with its mask and its further columns."""
    files = find_table_files(uri, (schema.REFERENCE, schema.MASK))
    table = files.read_all()

    def fail(text: str) -> NoReturn:
        raise ManifestError(f"manifest {files.uri}: {text}")

    check_columns(table, (schema.REFERENCE,), fail)
    table = as_text(table, schema.REFERENCE, fail)
    check_filled(table, schema.REFERENCE, fail, 0)
    masks: list[str | None] = [None] * len(table)
    if schema.MASK in table.column_names:
        masks = as_text(table, schema.MASK, fail)[schema.MASK].to_pylist()
    references = table[schema.REFERENCE].to_pylist()
    images = [storage.normalize(storage.resolve(each, files.base)) for each in references]
    by_uri: dict[str, str | None] = {}
    for row, (image, reference, mask) in enumerate(
        zip(images, references, masks, strict=True), start=1
    ):
        resolved = storage.resolve(mask, files.base) if mask else None
        if by_uri.setdefault(image, resolved) != resolved:
            fail(
                f"row {row} gives {reference} another mask than an earlier row; a sweep has one "
                "mask per image"
            )
    uris = list(by_uri)[:limit]
    columns = carry_columns(table, images, fail)
    if columns is not None:
        columns = columns.slice(0, len(uris))
    return _make_images(files.base, uris, [by_uri[each] for each in uris], columns)


def _make_images(
    base: str,
    uris: list[str],
    masks: list[str | None] | None = None,
    columns: pa.Table | None = None,
) -> Images:
    names = tuple(_make_name(uri, base) for uri in uris)
    has_masks = masks is not None and any(masks)
    return Images(base, tuple(uris), names, tuple(masks or ()) if has_masks else None, columns)


def _make_name(uri: str, base: str) -> str:
    """Make the path of an image in the sweep: its path below `base`, in safe characters.

    An image elsewhere, or with a name that has to be changed, gets a part of its URI's SHA-256, so
    that no two images have the same path.
    """
    prefix = base.rstrip("/") + "/"
    path = uri.removeprefix(prefix) if uri.startswith(prefix) else ""
    parts = path.split("/")
    is_short = all(len(part.encode()) <= _MAX_NAME_BYTES for part in parts)
    # `..` begins with a dot, as hidden names do.
    if path and is_short and not _UNSAFE.search(path) and not any(map(storage.is_hidden, parts)):
        return path
    digest = hashlib.sha256(uri.encode()).hexdigest()[:8]
    name = _UNSAFE.sub("_", uri.rpartition("/")[2]).lstrip("._")[-100:]
    return f"{digest}-{name}"
