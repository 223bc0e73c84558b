"""Files of compiled kernels: one per kernel, types of its arguments, processor and version.

numba's own files are an index and numbered code. Two processes that compile a kernel for different
types at once may give both the same number, and then load the code of the other. Code that was cut
off or altered, for example because the machine lost power, is loaded as if it were whole. And an
error of the disk is an error of the kernel. Here each file is complete and has a checksum, and
whatever happens to files, the kernel is compiled.
"""

import contextlib
import hashlib
import os
import pickle
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from roi_ray.runtime.logs import LOGGER, escape_line

_DIGEST_BYTES = hashlib.sha256().digest_size


class KernelCache:
    """The files of one kernel, as numba's dispatcher uses a cache.

    Attributes:
        cache_path: the folder: `NUMBA_CACHE_DIR`, `__pycache__` beside the module, or the user's
            cache folder, whichever is the first that is writable.

    Args:
        function: what is compiled.
        processor: names the processor's type and instructions.
        get_version: returns what names the version of the kernel. All modules in a folder must have
            the same; files of other versions are removed.

    Raises:
        RuntimeError: no folder is writable.
    """

    _has_warned = False

    def __init__(
        self, function: Callable[..., Any], processor: str, get_version: Callable[[], str]
    ) -> None:
        self._numba = FunctionCache(function)
        self.cache_path: str = self._numba.cache_path
        folder, version = Path(self.cache_path), f"_{processor}_{get_version()}"
        stem = Path(function.__code__.co_filename).stem
        self._numba._cache_file = _Files(folder, f"{stem}.{function.__name__}{version}")
        _remove_older(folder, f"_{processor}_", version)

    def load_overload(self, signature: object, target: object) -> object:
        """Load what was compiled for the types of a signature; None if it has to be compiled."""
        try:
            return self._numba.load_overload(signature, target)
        except Exception as error:  # whatever the file system, pickle or LLVM objects to
            self._warn_once(error)
            return None

    def save_overload(self, signature: object, compiled: object) -> None:
        """Keep what was compiled, if the folder permits it."""
        try:
            self._numba.save_overload(signature, compiled)
        except Exception as error:
            self._warn_once(error)

    def _warn_once(self, error: Exception) -> None:
        """Log an error, if this process has not yet logged any of the cache."""
        if not KernelCache._has_warned:
            KernelCache._has_warned = True
            text = escape_line(str(error) or type(error).__name__)
            LOGGER.warning("starts are slower, as compiled kernels cannot be kept: %s", text)


class _Files:
    """What a kernel was compiled to, for several types of arguments."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix

    def save(self, key: object, data: object) -> None:
        path, content = self._path(key), dumps((key, data))
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            temporary.write_bytes(hashlib.sha256(content).digest() + content)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def load(self, key: object) -> object:
        """Return what was saved; None if nothing was, or if the file is damaged."""
        try:
            content = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            return None
        stored_key, data = pickle.loads(content)
        return data if stored_key == key else None

    def _path(self, key: object) -> Path:
        name = hashlib.sha256(f"{numba.__version__} {key!r}".encode()).hexdigest()[:16]
        return self._folder / f"{self._prefix}.{name}.nbc"


def _remove_older(folder: Path, processor: str, version: str) -> None:
    """Remove what is kept of earlier versions, also of kernels that no longer exist."""
    for file in folder.glob(f"*.*{processor}*.nb[ci]*"):
        if version not in file.name:
            with contextlib.suppress(OSError):  # another process removed it
                file.unlink()
