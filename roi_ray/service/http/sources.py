"""Turn what a request says about its images into files: sent, named by URI, or kept before."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TypeVar

from roi_ray.errors import (
    AccessError,
    ImageError,
    ImageReadError,
    ImageTooLarge,
    NotAllowed,
    StorageError,
    StorageUnavailable,
)
from roi_ray.imaging.load import read_image_file
from roi_ray.io import storage
from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.decode_stage import resolve_allowed
from roi_ray.schema import Failure
from roi_ray.service.backend import UNKNOWN_REFERENCE, Backend, ImageFile
from roi_ray.web.error_answers import RequestFailed, answer_failure, request_failed
from roi_ray.web.names import clean_name

REFERENCE_PREFIX = "sha256:"
_SHA256 = re.compile("[0-9a-f]{64}")
_THREADS = 16
"""Files that are read at a time. A storage that does not answer keeps these threads alone."""
_T = TypeVar("_T")

Source = ImageFile | str
"""A file that was sent, a URI, or `sha256:HEX`."""
CountBytes = Callable[[int], Awaitable[None]]
"""Counts bytes that a request takes; see `roi_ray.web.gate.COUNT_BYTES`."""


class SourceReader:
    """Reads the images that requests name.

    Args:
        backend: what keeps references.
        allow_prefixes: folders, or URIs of folders, whose files requests may name.
        max_bytes: size of the largest file that is read.

    Raises:
        StorageError: a folder is not a path or URI that can be opened.
    """

    def __init__(self, backend: Backend, allow_prefixes: Sequence[str], max_bytes: int) -> None:
        self._backend, self._max_bytes = backend, max_bytes
        self._allowlist = Allowlist(tuple(map(storage.absolute, allow_prefixes)))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="uri")

    async def read_required(self, what: str, source: Source, count: CountBytes) -> ImageFile:
        """Read an image that a request cannot do without.

        Args:
            what: what it is, which begins the message of an error.
            source: the image; a hash only if `what` is `reference`.
            count: counts the bytes of a file before it is read.

        Raises:
            RequestFailed: it cannot be read, or is not known.
        """
        if (
            isinstance(source, str)
            and what == "reference"
            and source.lower().startswith(REFERENCE_PREFIX)
        ):
            return await self.get_reference(source[len(REFERENCE_PREFIX) :], count)
        image = await self.read(source, count)
        if isinstance(image, Failure):
            raise RequestFailed(answer_failure(Failure(image.kind, f"{what} {image.text}")))
        return image

    async def read(self, source: Source, count: CountBytes) -> ImageFile | Failure:
        """Return a file that was sent, or read the one that a URI names."""
        if isinstance(source, ImageFile):
            return source
        try:
            uri, size = await self._run(lambda: self._find(source))
            await count(size)
            return await self._run(lambda: self._read(source, uri, size))
        except (ImageError, StorageError) as error:
            return Failure.from_exception(error, clean_name(source))

    async def get_reference(self, sha256: str, count: CountBytes) -> ImageFile:
        """Return a reference that was sent before; its bytes are counted first.

        Raises:
            RequestFailed: it is not known (any more), or the text is not a SHA-256.
        """
        await count(await self.reference_size(sha256))
        reference = await self._backend.get_reference(sha256.lower())
        if reference is None:
            raise _unknown(sha256)
        return reference

    async def reference_size(self, sha256: str) -> int:
        """Return the bytes of a reference that was sent before.

        Raises:
            RequestFailed: as `get_reference`.
        """
        size = await self._backend.reference_size(parse_sha256(sha256))
        if size is None:
            raise _unknown(sha256)
        return size

    async def _run(self, function: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def _find(self, uri: str) -> tuple[str, int]:
        """Return the absolute URI of a file that may be read, and its bytes."""
        if not self._allowlist.prefixes:
            raise NotAllowed(
                "this service reads no URIs; send the file, or have the service started with "
                "--allow-prefix"
            )
        if "://" not in uri and not PurePosixPath(uri).is_absolute():
            raise NotAllowed("neither a URI nor an absolute path; send a file, or name one in full")
        absolute = resolve_allowed(uri, "", self._allowlist)
        return absolute, self._check_size(absolute)

    def _check_size(self, uri: str) -> int:
        try:
            size = storage.file_size(uri)
        except (AccessError, StorageUnavailable):
            raise
        except StorageError:
            return 0  # reading it will say why
        if size > self._max_bytes:
            raise ImageTooLarge(
                f"the file has {size:,} bytes; this service reads files of at most "
                f"{self._max_bytes:,}"
            )
        return size

    def _read(self, source: str, uri: str, size: int) -> ImageFile:
        data = read_image_file(uri, source, "", self._allowlist, size + 1)
        if len(data) > size:
            raise ImageReadError("it was written to while it was read; ask again")
        return ImageFile(clean_name(source), data, hashlib.sha256(data).hexdigest())


def parse_sha256(text: str) -> str:
    """Return the SHA-256 of a file in lower case.

    Raises:
        RequestFailed: it is not a SHA-256 in hexadecimal.

    Examples:
        >>> parse_sha256("AB" * 32)[:4]
        'abab'
    """
    if not _SHA256.fullmatch(text.lower()):
        raise request_failed(
            "InvalidRequest",
            f"{clean_name(text)!r} is not a SHA-256; write 64 hexadecimal digits",
        )
    return text.lower()


def _unknown(sha256: str) -> RequestFailed:
    return request_failed(
        UNKNOWN_REFERENCE,
        f"reference {REFERENCE_PREFIX}{sha256} is not kept here, or not any more; send the file, "
        "or PUT it to /v1/references/SHA256 first",
    )
