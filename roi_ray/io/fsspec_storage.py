"""Google Cloud Storage (`gs://`) and Azure Blob Storage (`az://`), by the packages gcsfs and adlfs.

They read the credentials and endpoints that are usual for these storages: gcsfs Google's
application default credentials (`GOOGLE_APPLICATION_CREDENTIALS`), adlfs the variables
`AZURE_STORAGE_*`. They repeat failed requests on their own.
"""

import logging

import fsspec
import pyarrow as pa
import pyarrow.fs as pafs

from roi_ray.errors import AccessError, StorageError, StorageUnavailable
from roi_ray.io.uris import CREDENTIALS

_PACKAGES = {"gs": ("gcsfs", "gcs"), "az": ("adlfs", "azure")}
"""Package of a scheme, and the extra of roi-ray that installs it."""
_CREDENTIAL_ERRORS = {
    "ClientAuthenticationError",  # azure.core, also if no credentials are found
    "CredentialUnavailableError",
    "GoogleAuthError",
}
_NETWORK_ERRORS = {
    "ClientConnectionError",  # aiohttp
    "ServiceRequestError",  # azure.core
    "ServiceResponseError",
    "TransportError",  # google.auth
    "TimeoutError",
}


def make_client(scheme: str) -> pafs.PyFileSystem:
    """Make a client for all buckets of a storage.

    Args:
        scheme: "gs" or "az".

    Raises:
        StorageError: the package for this storage is not installed, or finds no account.
    """
    package, extra = _PACKAGES[scheme]
    # gcsfs logs a traceback for an error that it raises too.
    logging.getLogger(package).setLevel(logging.CRITICAL)
    try:
        # Others write too: what was listed before may be out of date.
        filesystem = fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        raise StorageError(
            f"{scheme}:// needs the package {package}: pip install 'roi-ray[{extra}]'"
        ) from error
    except Exception as error:  # adlfs connects at once, and has errors of many types
        text = str(explain_failure(f"cannot use {scheme}://", error))
        raise AccessError(f"{text}; set {CREDENTIALS[scheme]}") from error
    return pafs.PyFileSystem(_Handler(filesystem))


class _Handler(pafs.FSSpecHandler):  # type: ignore[misc]  # pyarrow has no types
    """pyarrow's handler, changed where it does not suit adlfs and gcsfs.

    It asks for one folder's entries, because adlfs ignores a depth. It tells an object that does
    not exist from a storage that fails: fsspec's `isfile` is False for both.
    """

    def open_input_stream(self, path: str) -> pa.PythonFile:
        """Open an object for reading."""
        if self.fs.info(path)["type"] != "file":
            raise FileNotFoundError(path)
        return pa.PythonFile(self.fs.open(path, mode="rb"), mode="r")

    def open_input_file(self, path: str) -> pa.PythonFile:
        """Open an object for reading parts of it."""
        return self.open_input_stream(path)

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        """List a folder."""
        if selector.recursive:
            infos: list[pafs.FileInfo] = super().get_file_info_selector(selector)
            return infos
        try:
            entries = self.fs.ls(selector.base_dir, detail=True)
        except FileNotFoundError:
            if selector.allow_not_found:
                return []
            raise
        # An empty object may stand for the folder itself.
        names = {entry["name"].rstrip("/"): entry for entry in entries}
        names.pop(selector.base_dir.rstrip("/"), None)
        return [self._create_file_info(name, entry) for name, entry in names.items()]


def explain_failure(what: str, error: BaseException) -> StorageError:
    """Return the error to raise for a failed request.

    Args:
        what: what failed, such as "cannot read gs://bucket/a.png".
        error: an error of gcsfs or adlfs, or one that it caused.
    """
    text = f"{what}: {_reason(error)}"
    for cause in _chain(error):
        names = {base.__name__ for base in type(cause).__mro__}
        status = _status(cause)
        if names & _NETWORK_ERRORS or status == 429 or status >= 500:
            return StorageUnavailable(f"{text}. The storage failed on every attempt")
        if names & _CREDENTIAL_ERRORS or status == 401:
            return AccessError(
                f"{text}. The storage refuses the credentials: renew or correct them, then run "
                "the same command again"
            )
    return StorageError(text)


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):  # the message is a path or an address
        return "no such object or bucket"
    lines = str(error).splitlines()  # those of Azure go on with the whole answer
    return lines[0].rstrip(".") if lines else type(error).__name__


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an error and those that led to it."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _status(error: BaseException) -> int:
    """Return the HTTP status of an error of gcsfs, azure.core or aiohttp; 0 if it has none."""
    for name in ("status_code", "code", "status"):
        if str(value := getattr(error, name, "")).isdigit():
            return int(value)
    return 0
