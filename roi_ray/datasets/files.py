"""Find a data set's images and read their sizes."""

import math
import posixpath
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pyarrow.fs as pafs

from roi_ray.errors import ImageError, ManifestError, StorageError
from roi_ray.imaging.decode import decode_image
from roi_ray.io import storage

_THREADS = 16
# Left behind by macOS and by interrupted copies: `.DS_Store`, `__MACOSX/`.
_HIDDEN = re.compile(r"(^|/)[._]")

_T = TypeVar("_T")
_R = TypeVar("_R")


def map_in_threads(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """Apply a function to each item in a thread pool, for many small reads; keep the order."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))


def list_folders(folder: str) -> list[str]:
    """List the names of the folders directly below a folder, sorted, without hidden (`.`, `_`)."""
    return _list_paths(folder, pafs.FileType.Directory, recursive=False)


def list_files_below(folder: str) -> list[str]:
    """List all files below a folder as relative paths, sorted, without hidden ones."""
    return _list_paths(folder, pafs.FileType.File, recursive=True)


class ImageFinder:
    """Index of images by the names that a data set's table gives them.

    Archives put folders of their own above the paths that their tables name. So a name is looked up
    as a path below the data set's folder; then as a path below any folder in it, where the first in
    alphabetical order wins; then by its last part alone, if only one file has that name.

    Args:
        folder: folder of the data set.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.paths = list_files_below(folder)
        self._known = set(self.paths)
        self._by_name: dict[str, list[str]] = {}
        for path in self.paths:
            self._by_name.setdefault(posixpath.basename(path), []).append(path)

    def find(self, name: str) -> str | None:
        """Find the URI of an image; None if there is no such image, or the name is ambiguous."""
        same_name = self._by_name.get(posixpath.basename(name), [])
        same_path = [path for path in same_name if path.endswith(f"/{name}")]
        only_one = same_name if len(same_name) == 1 else []
        path = name if name in self._known else next(iter(same_path or only_one), None)
        return storage.join(self._folder, path) if path is not None else None


def read_byte_size(uri: str) -> float:
    """Read the size of a file in bytes; NaN if it cannot be opened."""
    try:
        with storage.open_file(uri) as stream:
            return float(stream.size())
    except StorageError:
        return math.nan


def read_bits_per_pixel(uri: str) -> float:
    """Compute the bits per pixel of an encoded image of any format that is scored.

    The image is decoded, because headers of some formats do not state the size that is shown.

    Raises:
        ManifestError: the file cannot be read, or cannot be scored: damaged, HDR, ...
    """
    try:
        data = storage.read_bytes(uri)
        height, width = decode_image(data).shape[:2]
    except StorageError as error:
        raise ManifestError(f"{error}; the data set's table names it") from error
    except ImageError as error:
        raise ManifestError(f"{uri} is not a readable image: {error}") from error
    return float(8 * len(data) / (width * height))


def _list_paths(folder: str, kind: pafs.FileType, *, recursive: bool) -> list[str]:
    filesystem, path = storage.locate(folder)
    selector = pafs.FileSelector(path, recursive=recursive, allow_not_found=True)
    with storage.explained_errors("list", folder):
        infos = filesystem.get_file_info(selector)
    paths = sorted(info.path[len(path) + 1 :] for info in infos if info.type == kind)
    return [name for name in paths if not _HIDDEN.search(name)]
