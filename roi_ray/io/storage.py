"""Read, write and list local files and objects of S3, Google Cloud Storage and Azure by URI.

Callers import this module alone: it also offers the functions of `roi_ray.io.uris`.

All functions raise, with the URI and the reason in the message:
    StorageError: the file or object does not exist, or the operation is not possible.
    AccessError: the object store refuses the credentials.
    StorageUnavailable: the object store still fails after all retries.
"""

import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache

import pyarrow as pa
import pyarrow.fs as pafs

from roi_ray.errors import StorageError
from roi_ray.io import local_files, s3
from roi_ray.io.uris import (
    absolute,
    bucket_path,
    is_hidden,
    is_remote,
    join,
    local_path,
    normalize,
    parent,
    resolve,
    scheme,
)

__all__ = [
    "absolute",
    "check_writable",
    "create_file",
    "delete",
    "exists",
    "explained_errors",
    "file_size",
    "file_sizes",
    "is_file",
    "is_folder",
    "is_hidden",
    "is_remote",
    "join",
    "list_entries",
    "list_files",
    "list_tree",
    "local_path",
    "locate",
    "move",
    "normalize",
    "open_file",
    "parent",
    "read_bytes",
    "resolve",
    "scheme",
    "write_bytes",
]

_PART_BYTES = 1 << 28


def read_bytes(uri: str, most: int | None = None) -> bytes:
    """Read the whole content of a file or object, or at most so many bytes of its beginning."""
    filesystem, path = locate(uri)
    if not is_remote(uri) and os.path.exists(path) and not os.path.isfile(path):
        # A pipe or device may never end.
        kind = "a folder" if os.path.isdir(path) else "not a regular file"
        raise StorageError(f"cannot read {uri}: it is {kind}")
    # Two requests to S3, HEAD and GET. `open_input_stream` would ask for an object in pieces.
    with explained_errors("read", uri), filesystem.open_input_file(path) as file:
        return bytes(file.read(most))


def open_file(uri: str) -> pa.NativeFile:
    """Open a file or object for reading parts of it."""
    filesystem, path = locate(uri)
    with explained_errors("read", uri):
        return filesystem.open_input_file(path)


def write_bytes(uri: str, data: bytes | memoryview) -> None:
    """Write a whole file or object. Readers see the old content or the new, never a part of it.

    Missing folders are created. Content that memory cannot hold is a `memoryview` of a mapped file.
    """
    filesystem, path = locate(uri)
    with explained_errors("write", uri):
        if is_remote(uri):
            # A signal interrupts the main thread anywhere, and a stream that is closed half-way
            # uploads what it has. The end of the pool waits for the whole upload, whose thread has
            # to be started before: the pool does not wait for one that it is about to start.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(int).result()
                pool.submit(_upload, filesystem, path, data).result()
        else:
            local_files.replace_file(path, data)


def _upload(filesystem: pafs.FileSystem, path: str, data: bytes | memoryview) -> None:
    """Write an object, which appears when its upload is complete."""
    with filesystem.open_output_stream(path) as stream:
        for start in range(0, len(data), _PART_BYTES):  # stores limit the size of a part
            stream.write(data[start : start + _PART_BYTES])


def create_file(uri: str, data: bytes) -> bool:
    """Write a local file unless it exists; return whether it was written.

    If several processes try at the same time, one succeeds; see `local_files.create_file`.
    """
    with explained_errors("write", uri):
        return local_files.create_file(local_path(uri), data)


def check_writable(folder: str) -> None:
    """Write an empty file to a folder and delete it, to fail before there are results to lose."""
    probe = join(folder, f".{uuid.uuid4().hex}")
    write_bytes(probe, b"")
    delete(probe)


def list_files(uri: str) -> list[str]:
    """Return the names of the files directly in a folder, sorted.

    Hidden names are left out. A folder that does not exist is empty, because object stores have no
    folders.
    """
    return list(file_sizes(uri))


def file_sizes(uri: str) -> dict[str, int]:
    """Return the sizes in bytes of the files that `list_files` returns, by name, sorted."""
    infos = [info for info in _list(uri) if info.type == pafs.FileType.File]
    sizes = {info.base_name: info.size for info in infos}
    return {name: sizes[name] for name in sorted(sizes) if not is_hidden(name)}


def list_entries(uri: str) -> tuple[list[str], list[str]]:
    """Return the names of the files and those of the folders directly in a folder.

    Both are sorted, and hidden names are left out.
    """
    names: dict[pafs.FileType, list[str]] = {}
    for info in _list(uri):
        if not is_hidden(info.base_name):
            names.setdefault(info.type, []).append(info.base_name)
    return sorted(names.get(pafs.FileType.File, [])), sorted(names.get(pafs.FileType.Directory, []))


def list_tree(uri: str) -> list[str]:
    """Return the paths of all files below a folder, relative to it, sorted folder by folder.

    Hidden files and folders are left out, at every level.
    """
    path = locate(uri)[1]
    files = (i.path for i in _list(uri, recursive=True) if i.type == pafs.FileType.File)
    names = (file[len(path) :].strip("/").split("/") for file in files)
    return ["/".join(parts) for parts in sorted(names) if not any(map(is_hidden, parts))]


def _list(uri: str, *, recursive: bool = False) -> list[pafs.FileInfo]:
    filesystem, path = locate(uri)
    selector = pafs.FileSelector(path, recursive=recursive, allow_not_found=True)
    with explained_errors("list", uri):
        return list(filesystem.get_file_info(selector))


def file_size(uri: str) -> int:
    """Return the size of a file or object in bytes; 0 if it does not exist."""
    return int(_look_up(uri).size or 0)


def exists(uri: str) -> bool:
    """Return whether there is a file, folder or anything else of this name."""
    return bool(_look_up(uri).type != pafs.FileType.NotFound)


def is_file(uri: str) -> bool:
    """Return whether a file or object exists."""
    return bool(_look_up(uri).type == pafs.FileType.File)


def is_folder(uri: str) -> bool:
    """Return whether a folder exists; in an object store, whether objects exist below it."""
    return bool(_look_up(uri).type == pafs.FileType.Directory)


def move(source: str, target: str) -> None:
    """Rename a file within one storage; an object is copied, and the original is deleted."""
    filesystem, source_path = locate(source)
    _, target_path = locate(target)
    with explained_errors("move", source, f" to {target}"):
        if not is_remote(target):
            os.makedirs(os.path.dirname(target_path), exist_ok=True)
        filesystem.move(source_path, target_path)


def delete(uri: str) -> None:
    """Delete a file or object if it exists."""
    filesystem, path = locate(uri)
    with explained_errors("delete", uri), suppress(FileNotFoundError):
        filesystem.delete_file(path)


def locate(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return the pyarrow file system of a URI, and the path in it."""
    if not is_remote(uri):
        return pafs.LocalFileSystem(), local_path(uri)
    path = bucket_path(uri)
    if scheme(uri) == "s3":
        return _s3_client(path.split("/")[0]), path
    return _fsspec_client(scheme(uri)), path


def _look_up(uri: str) -> pafs.FileInfo:
    filesystem, path = locate(uri)
    with explained_errors("look up", uri):
        return filesystem.get_file_info(path)


@lru_cache(maxsize=64)
def _s3_client(bucket: str) -> pafs.FileSystem:
    # One client per bucket and process: it pools connections, and threads can share it.
    try:
        return s3.make_client(bucket)
    except (OSError, ValueError) as error:
        text = f"cannot use s3://{bucket}: {_reason(error)}"
        raise s3.explain_no_client(text, error) from error


@lru_cache
def _fsspec_client(scheme: str) -> pafs.FileSystem:
    from roi_ray.io import fsspec_storage  # most runs need no fsspec

    return fsspec_storage.make_client(scheme)


@contextmanager
def explained_errors(verb: str, uri: str, target: str = "") -> Iterator[None]:
    """Turn errors of pyarrow, fsspec and the system into a StorageError that says what failed."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        if scheme(uri) not in ("", "s3"):  # gcsfs and adlfs have errors of many types
            from roi_ray.io import fsspec_storage

            raise fsspec_storage.explain_failure(f"cannot {verb} {uri}{target}", error) from error
        if not isinstance(error, (OSError, ValueError)):
            raise
        text = f"cannot {verb} {uri}{target}: {_reason(error)}"
        if is_remote(uri):
            raise s3.explain_failure(text, error, *locate(uri)) from error
        raise StorageError(text) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
