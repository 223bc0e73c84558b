"""A lease on S3: the server itself refuses to change another version than the one named.

pyarrow cannot send conditional requests, so these few go through `s3_requests`.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TypeVar

from aiohttp import ClientPayloadError
from botocore.exceptions import IncompleteReadError, ResponseStreamingError
from fsspec.asyn import sync

from roi_ray.errors import StorageError
from roi_ray.io import s3, storage
from roi_ray.io.lease import Stored
from roi_ray.io.s3_requests import Client, make_client

_CONFLICT_ATTEMPTS = 5
_CONFLICT_PAUSE_SECONDS = 0.2
_CONFLICT, _PRECONDITION_FAILED = 409, 412
_NO_SUCH_KEY = ("NoSuchKey", 404)
_OTHER_ETAG = f'"{0:032x}"'
_T = TypeVar("_T")
_REJECTIONS = {"NotImplemented", "InvalidArgument", "InvalidRequest"}


class _ConditionsRejected(StorageError):
    """The server does not know conditional requests."""


class S3Lease:
    """A lease whose versions are ETags.

    Args:
        uri: an `s3://` URI.
        client: from `make_client`; `close` closes it.
        deletes_conditionally: whether the server honours `If-Match` when it deletes.
    """

    def __init__(self, uri: str, client: Client, *, deletes_conditionally: bool = True) -> None:
        self._uri, self._client = uri, client
        self._deletes_conditionally = deletes_conditionally
        bucket, _, key = storage.locate(uri)[1].partition("/")
        self._object = {"Bucket": bucket, "Key": key}

    def read(self) -> Stored | None:
        """Return the present content and ETag; None if the object does not exist."""
        try:
            return self._send(self._get)
        except Exception as error:
            if s3.parse_answer(error) == _NO_SUCH_KEY:
                return None
            raise self._explain("read", error) from error

    def create(self, data: bytes) -> str | None:
        """Write the object if it does not exist."""
        return self._put(data, IfNoneMatch="*")

    def replace(self, data: bytes, version: str) -> str | None:
        """Write the object if it has this ETag."""
        return self._put(data, IfMatch=version)

    def delete(self, version: str) -> bool:
        """Delete the object if it has this ETag.

        If the server deletes without conditions, the object is renewed just before: jobs that see
        it change do not take it over in the meantime.
        """
        if self._deletes_conditionally:
            return self._delete(IfMatch=version)
        stored = self.read()
        if stored is None or self.replace(stored.data + b"\n", version) is None:
            return False
        return self._delete()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def find_honoured_conditions(self) -> tuple[bool, bool]:
        """Send requests that the server must refuse; the object must not exist, and is deleted.

        Returns:
            whether the server honours the conditions of writes, and those of deletions.
        """
        try:
            self.create(b"probe")
            writes = self.create(b"") is None and self.replace(b"", _OTHER_ETAG) is None
        except _ConditionsRejected:
            writes = False
        try:
            deletes = not self._delete(IfMatch=_OTHER_ETAG)
        except _ConditionsRejected:
            deletes = False
        self._delete()
        return writes, deletes

    def _get(self) -> Stored:
        answer = self._client.call_s3("get_object", **self._object)
        with closing(answer["Body"]) as body:
            return Stored(sync(self._client.loop, body.read), answer["ETag"])

    def _send(self, request: Callable[[], _T]) -> _T:
        """Send a request; again if the body of the answer breaks off, as botocore does not."""
        for _ in range(s3.MAX_ATTEMPTS - 1):
            with suppress(ClientPayloadError, ResponseStreamingError, IncompleteReadError):
                return request()
        return request()

    def _put(self, data: bytes, **condition: str) -> str | None:
        for _ in range(_CONFLICT_ATTEMPTS):
            try:
                answer = self._send(
                    lambda: self._client.call_s3(
                        "put_object", Body=data, **self._object, **condition
                    )
                )
                return str(answer["ETag"])
            except Exception as error:
                answer = s3.parse_answer(error)
                if answer[1] == _PRECONDITION_FAILED or answer == _NO_SUCH_KEY:
                    return None
                if answer[1] != _CONFLICT:
                    raise self._explain("write", error) from error
            # Another request was under way, and may have failed: S3 asks to try again.
            time.sleep(_CONFLICT_PAUSE_SECONDS)
        return None

    def _delete(self, **condition: str) -> bool:
        try:
            self._send(lambda: self._client.call_s3("delete_object", **self._object, **condition))
        except Exception as error:
            answer = s3.parse_answer(error)
            if answer[1] in (_CONFLICT, _PRECONDITION_FAILED) or answer == _NO_SUCH_KEY:
                return False
            raise self._explain("delete", error) from error
        return True

    def _explain(self, verb: str, error: Exception) -> StorageError:
        text = f"cannot {verb} {self._uri}: {str(error).rstrip('.')}"
        if s3.parse_answer(error)[0] in _REJECTIONS:
            return _ConditionsRejected(text)
        return s3.explain_answer(text, error)


def open_s3_lease(uri: str) -> S3Lease | None:
    """Open a lease on S3; None if the server ignores or rejects the conditions of writes.

    Raises:
        StorageError: the folder of the object cannot be written.
    """
    client = make_client(storage.locate(uri)[0].region)
    try:
        probe = S3Lease(storage.join(storage.parent(uri), f".{uuid.uuid4().hex}"), client)
        writes, deletes = probe.find_honoured_conditions()
    except BaseException:
        client.close()
        raise
    if not writes:
        client.close()
        return None
    return S3Lease(uri, client, deletes_conditionally=deletes)
