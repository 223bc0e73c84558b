"""Interpret URIs: local paths, `file://...`, `s3://bucket/key`, `gs://...`, `az://...`.

Opens nothing.
"""

import os
import posixpath
from urllib.parse import unquote

from roi_ray.errors import StorageError

REMOTE = ("s3://", "gs://", "az://")
"""Object stores: S3, Google Cloud Storage, Azure Blob Storage (`az://container/name`)."""
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "the file that GOOGLE_APPLICATION_CREDENTIALS names",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
"""Where the storage of a scheme takes its credentials from."""


def is_remote(uri: str) -> bool:
    """Return whether a URI names an object store, which every machine of a cluster can reach."""
    return uri.startswith(REMOTE)


def scheme(uri: str) -> str:
    """Return the scheme of a remote URI, such as "s3"; "" if it is local."""
    return uri.partition("://")[0] if is_remote(uri) else ""


def absolute(uri: str) -> str:
    """Return a URI that means the same in every process: an absolute path or a remote URI.

    Raises:
        StorageError: the URI is of a scheme that cannot be opened, or contains credentials.
    """
    if not is_remote(uri):
        return local_path(uri)
    return resolve(f"{scheme(uri)}://{bucket_path(uri)}", "")


def resolve(uri: str, base: str) -> str:
    """Make a URI absolute: a relative one is below the folder `base`.

    `.` and `..` are removed from remote URIs, because object stores take them for a part of the
    key, and S3 rejects the signature of such a request.
    """
    if "://" not in uri and not os.path.isabs(uri):
        uri = posixpath.join(base, uri)
    if is_remote(uri) and {".", ".."} & set(uri.split("/")):
        prefix, _, path = uri.partition("://")
        uri = f"{prefix}://{posixpath.normpath(path)}"
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


def is_hidden(name: str) -> bool:
    """Return whether listings leave out a file or folder: its name begins with `.` or `_`."""
    return name.startswith((".", "_"))


def bucket_path(uri: str) -> str:
    """Return the bucket and key of a remote URI, as `bucket/key`.

    Raises:
        StorageError: the URI has no bucket, or contains credentials.
    """
    path = uri.partition("://")[2].rstrip("/")
    bucket = path.split("/")[0]
    if not bucket:
        raise StorageError(f"{uri} names no bucket")
    if "@" in bucket or ":" in bucket:  # the message must not repeat what may be a secret
        raise StorageError(
            f"a URI {scheme(uri)}://... has an @ or a colon in its bucket: credentials belong in "
            f"{CREDENTIALS[scheme(uri)]}, never in a URI"
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
    if "://" in path or path.lower().startswith(("s3:/", "gs:/", "az:/")):
        raise StorageError(
            f"cannot open {uri}: only local paths and s3://BUCKET/KEY, gs://BUCKET/KEY and "
            "az://CONTAINER/KEY can be opened"
        )
    return os.path.abspath(os.path.expanduser(path))
