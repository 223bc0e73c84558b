"""Where a data set's images lie, and what their headers say."""

import math
import posixpath
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pyarrow.fs as pafs
from PIL import Image

from roi_ray.errors import ManifestError, StorageError
from roi_ray.imaging.decode import FORMATS
from roi_ray.io import storage

_THREADS = 16
# What a Mac or an interrupted copy leaves: `.DS_Store`, `__MACOSX/`.
_HIDDEN = re.compile(r"(^|/)[._]")

_T = TypeVar("_T")
_R = TypeVar("_R")


def map_in_threads(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """`function` of each item, in order; for many small reads, which wait more than they work."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))


def list_folders(folder: str) -> list[str]:
    """The names of the folders directly in a folder, sorted, hidden ones (`.`, `_`) left out."""
    return _paths(folder, pafs.FileType.Directory, deep=False)


def list_files_below(folder: str) -> list[str]:
    """The paths of all files below a folder, relative to it, sorted, hidden ones left out."""
    return _paths(folder, pafs.FileType.File, deep=True)


class ImageFinder:
    """Finds images by the names that a table gives them.

    A name is looked for as a path below the folder, then below any folder in it (of several the
    first in alphabetical order counts), and at last, if only one file is called so, by its last
    part alone: archives put folders of their own before what their tables name.

    Args:
        folder: the data set's.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.paths = list_files_below(folder)
        self._known = set(self.paths)
        self._by_name: dict[str, list[str]] = {}
        for path in self.paths:
            self._by_name.setdefault(posixpath.basename(path), []).append(path)

    def find(self, name: str) -> str | None:
        """URI of a file; None if there is none of this name."""
        called = self._by_name.get(posixpath.basename(name), [])
        below = [path for path in called if path.endswith(f"/{name}")]
        alone = called if len(called) == 1 else []
        path = name if name in self._known else next(iter(below or alone), None)
        return storage.join(self._folder, path) if path is not None else None


def read_byte_size(uri: str) -> float:
    """Bytes of a file; NaN if it cannot be opened."""
    try:
        with storage.open_file(uri) as stream:
            return float(stream.size())
    except StorageError:
        return math.nan


def read_bits_per_pixel(uri: str) -> float:
    """Bits of an encoded image per pixel, from its header and its file's size.

    Raises:
        ManifestError: it cannot be opened, or is not an image of a known format.
    """
    try:
        with storage.open_file(uri) as stream, Image.open(stream, formats=FORMATS) as image:
            return 8 * int(stream.size()) / (image.width * image.height)
    except StorageError as error:
        raise ManifestError(f"{error}; the data set's table names it") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise ManifestError(f"{uri} is not an image that can be used: {error}") from error


def _paths(folder: str, kind: pafs.FileType, *, deep: bool) -> list[str]:
    try:
        filesystem, path = storage.locate(folder)
        infos = filesystem.get_file_info(
            pafs.FileSelector(path, recursive=deep, allow_not_found=True)
        )
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot list {folder}: {error}") from error
    found = sorted(info.path[len(path) + 1 :] for info in infos if info.type == kind)
    return [name for name in found if not _HIDDEN.search(name)]
