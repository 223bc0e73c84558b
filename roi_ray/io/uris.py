"""Interpret URIs: local paths, `file://...` and `s3://bucket/key`. Opens nothing."""

import os
import posixpath
from urllib.parse import unquote

from roi_ray.errors import StorageError

_S3 = "s3://"


def is_remote(uri: str) -> bool:
    """Return whether every machine of a cluster can reach the URI."""
    return uri.startswith(_S3)


def absolute(uri: str) -> str:
    """Return a URI that means the same in every process: an absolute path or an `s3://` URI.

    Raises:
        StorageError: the URI is neither local nor `s3://`, or contains credentials.
    """
    return resolve(_S3 + s3_path(uri), "") if is_remote(uri) else local_path(uri)


def resolve(uri: str, base: str) -> str:
    """Make a URI absolute: a relative one is below the folder `base`.

    `.` and `..` are removed from `s3://` URIs, because S3 takes them for a part of the key and
    rejects the signature of such a request.
    """
    if "://" not in uri and not os.path.isabs(uri):
        uri = posixpath.join(base, uri)
    if is_remote(uri) and {".", ".."} & set(uri.split("/")):
        uri = _S3 + posixpath.normpath(uri.removeprefix(_S3))
    return uri


def normalize(uri: str) -> str:
    """Return an absolute URI without `./` and `a/../`, so that equal files have equal URIs."""
    return uri if "://" in uri else posixpath.normpath(uri)


def join(folder: str, *parts: str) -> str:
    """Join the URI of a folder and names below it."""
    return posixpath.join(folder, *parts)


def parent(uri: str) -> str:
    """Return the URI of the folder that contains a file or folder."""
    return posixpath.dirname(uri)


def s3_path(uri: str) -> str:
    """Return the bucket and key of an `s3://` URI, as `bucket/key`.

    Raises:
        StorageError: the URI has no bucket, or contains credentials.
    """
    path = uri.removeprefix(_S3).rstrip("/")
    bucket = path.split("/")[0]
    if not bucket:
        raise StorageError(f"{uri} names no bucket")
    if "@" in bucket or ":" in bucket:  # the message must not repeat what may be a secret
        raise StorageError(
            "an s3:// URI has an @ or a colon in its bucket: credentials belong in "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, never in a URI"
        )
    return path


def local_path(uri: str) -> str:
    """Return the absolute path of a local path or `file://` URI; `~` is the home folder.

    Raises:
        StorageError: the URI is empty, or of a scheme that cannot be opened.
    """
    path = unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
    if not path:  # often an unset variable; it would mean the current folder
        raise StorageError("an empty path names no file and no folder")
    if "://" in path or path.lower().startswith("s3:/"):
        raise StorageError(f"cannot open {uri}: only local paths and s3://BUCKET/KEY can be opened")
    return os.path.abspath(os.path.expanduser(path))
