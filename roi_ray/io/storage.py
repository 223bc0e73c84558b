"""One way to reach local files and S3 objects: URI in, bytes or listing out.

A URI is a local path, `file://...` or `s3://bucket/key`. S3's endpoint, region and credentials come
from the standard AWS environment variables, files or instance profile; none is ever part of a URI.
"""

import os
import posixpath
import uuid
from functools import lru_cache
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pafs

from roi_ray.errors import StorageError
from roi_ray.io import s3

_REMOTE = ("s3://",)


def is_remote(uri: str) -> bool:
    """True for a URI that every machine of a cluster can reach."""
    return uri.startswith(_REMOTE)


def absolute(uri: str) -> str:
    """A local path made absolute, to mean the same in any process; `s3://` without dots.

    Raises:
        StorageError: it is neither, or has credentials in it.
    """
    return resolve(f"s3://{_key(uri)}", "") if is_remote(uri) else _local(uri)


def resolve(uri: str, base: str) -> str:
    """`uri` itself if it is absolute, else `uri` below the folder `base`; on S3 without dots."""
    if "://" not in uri and not os.path.isabs(uri):
        uri = posixpath.join(base, uri)
    if is_remote(uri) and {".", ".."} & set(uri.split("/")):
        # To S3 they are a part of a key; and a request that has them is signed as if it had not.
        uri = "s3://" + posixpath.normpath(uri.removeprefix("s3://"))
    return uri


def normalize(uri: str) -> str:
    """An absolute URI without detours (`./`, `a/../`): the same for the same file."""
    return uri if "://" in uri else posixpath.normpath(uri)


def join(folder: str, *parts: str) -> str:
    """A URI below `folder`."""
    return posixpath.join(folder, *parts)


def parent(uri: str) -> str:
    """The folder that holds `uri`."""
    return posixpath.dirname(uri)


def read_bytes(uri: str) -> bytes:
    """The whole content of a file or object.

    Raises:
        StorageError: it does not exist or cannot be read; the text names it.
        AccessError: S3 refuses the credentials.
        StorageUnavailable: S3 fails time and again.
    """
    filesystem, path = locate(uri)
    if not is_remote(uri) and os.path.exists(path) and not os.path.isfile(path):
        # Of a pipe or a device there may be no end; of a folder there is nothing to read.
        raise StorageError(f"cannot read {uri}: it is not a regular file")
    try:
        # Of S3, this is two requests, HEAD and GET: a stream asks for an object piece by piece.
        with filesystem.open_input_file(path) as file:
            return bytes(file.read())
    except (OSError, ValueError) as error:
        raise _failure("read", uri, error) from error


def open_file(uri: str) -> pa.NativeFile:
    """A file or object opened for reading parts of it.

    Raises:
        StorageError: it does not exist or cannot be opened; the text names it.
    """
    filesystem, path = locate(uri)
    try:
        return filesystem.open_input_file(path)
    except (OSError, ValueError) as error:
        raise _failure("read", uri, error) from error


def write_bytes(uri: str, data: bytes) -> None:
    """Write a file or object so that it is seen whole or not at all.

    An object store shows an object only when its upload is complete; a local file is written under
    a name that no reader looks for (leading dot) and renamed.
    """
    filesystem, path = locate(uri)
    try:
        if is_remote(uri):
            with filesystem.open_output_stream(path) as stream:
                stream.write(data)
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        partial = os.path.join(
            os.path.dirname(path), f".{os.path.basename(path)}.{uuid.uuid4().hex}"
        )
        try:
            with open(partial, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, path)
        except BaseException:
            if os.path.exists(partial):
                os.unlink(partial)
            raise
    except (OSError, ValueError) as error:
        raise _failure("write", uri, error) from error


def check_writable(folder: str) -> None:
    """Write to a folder and delete it again: better now than when there is something to write.

    Raises:
        StorageError: it cannot be written to.
    """
    probe = join(folder, f".{uuid.uuid4().hex}")
    write_bytes(probe, b"")
    delete(probe)


def list_files(uri: str) -> list[str]:
    """The names of the files directly in a folder, sorted, hidden ones (`.`, `_`) left out.

    A folder that does not exist is empty: object stores know no folders.
    """
    return list(file_sizes(uri))


def file_sizes(uri: str) -> dict[str, int]:
    """The same files with their bytes."""
    filesystem, path = locate(uri)
    try:
        infos = filesystem.get_file_info(
            pafs.FileSelector(path, recursive=False, allow_not_found=True)
        )
    except (OSError, ValueError) as error:
        raise _failure("list", uri, error) from error
    found = {info.base_name: info.size for info in infos if info.type == pafs.FileType.File}
    return {name: found[name] for name in sorted(found) if not name.startswith((".", "_"))}


def file_size(uri: str) -> int:
    """Bytes of a file or object; 0 if there is none."""
    filesystem, path = locate(uri)
    try:
        return int(filesystem.get_file_info(path).size or 0)
    except (OSError, ValueError) as error:
        raise _failure("look up", uri, error) from error


def is_file(uri: str) -> bool:
    """True if `uri` names an existing file or object."""
    return bool(_type(uri) == pafs.FileType.File)


def is_folder(uri: str) -> bool:
    """True if `uri` names an existing folder, or a prefix that objects share."""
    return bool(_type(uri) == pafs.FileType.Directory)


def move(source: str, target: str) -> None:
    """Rename a file within one storage (a copy and a deletion on S3)."""
    filesystem, source_path = locate(source)
    _, target_path = locate(target)
    try:
        if not is_remote(target):
            os.makedirs(os.path.dirname(target_path), exist_ok=True)
        filesystem.move(source_path, target_path)
    except (OSError, ValueError) as error:
        raise _failure("move", source, error, f" to {target}") from error


def delete(uri: str) -> None:
    """Delete a file or object; one that is not there is as well."""
    filesystem, path = locate(uri)
    try:
        filesystem.delete_file(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise _failure("delete", uri, error) from error


def _type(uri: str) -> pafs.FileType:
    filesystem, path = locate(uri)
    try:
        return filesystem.get_file_info(path).type
    except (OSError, ValueError) as error:
        raise _failure("look up", uri, error) from error


def locate(uri: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a URI, and the path in it.

    Raises:
        StorageError: there is none for it.
    """
    if is_remote(uri):
        path = _key(uri)
        return _s3(path.split("/")[0]), path
    return pafs.LocalFileSystem(), _local(uri)


def _key(uri: str) -> str:
    """Bucket and key of an `s3://` URI."""
    path = uri.removeprefix("s3://").rstrip("/")
    bucket = path.split("/")[0]
    if not bucket:
        raise StorageError(f"{uri} names no bucket")
    if "@" in bucket or ":" in bucket:  # not to be repeated here
        raise StorageError(
            "an s3:// URI has an @ or a colon in its bucket: credentials belong into "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and never into a URI"
        )
    return path


def _local(uri: str) -> str:
    path = unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
    if not path:  # an unset variable, which would be the current folder
        raise StorageError("an empty path names no file and no folder")
    if "://" in path or path.lower().startswith("s3:/"):
        raise StorageError(f"cannot open {uri}: only local paths and s3://BUCKET/KEY can be")
    return os.path.abspath(os.path.expanduser(path))


@lru_cache(maxsize=64)
def _s3(bucket: str) -> pafs.FileSystem:
    # One client a bucket and process: it pools connections and is safe to share between threads.
    try:
        return s3.client(bucket)
    except (OSError, ValueError) as error:
        raise s3.no_client(f"cannot use s3://{bucket}: {_reason(error)}", error) from error


def _failure(what: str, uri: str, error: Exception, where: str = "") -> StorageError:
    text = f"cannot {what} {uri}{where}: {_reason(error)}"
    if not is_remote(uri):
        return StorageError(text)
    return s3.failure(text, error, *locate(uri))


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
