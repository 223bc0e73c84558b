"""The S3 client: how long it goes on trying, and what it means when it gives up.

What passes (5xx, throttling, resets, bodies that break off, silence) is tried again by the AWS SDK,
after pauses that double up to 20 s, with jitter, as long as most requests succeed (its "standard"
retry mode). What is left over is of one of three kinds: it concerns one object, or it concerns all
of them because the credentials are refused, or the storage cannot be reached.
"""

import os
import re

import pyarrow.fs as pafs

from roi_ray.errors import AccessError, StorageError, StorageUnavailable

ATTEMPTS = 8
"""Of one request: about 40 s of pauses in all, 70 s at most."""
CONNECT_SECONDS = 5.0
SILENT_SECONDS = 10.0
"""Without a byte, after which an attempt has failed."""

# Arrow gives the names of codes that it knows in its own spelling, and of others a status, with the
# name in the server's spelling behind it where the answer has a body. That to HEAD has none.
_ERROR = re.compile(
    r"AWS Error (?P<name>\w+)(?: \(HTTP status (?P<status>\d+)\))? during \w+ operation"
    r"(?:: Unable to parse ExceptionName: (?P<unknown>\w+))?"
)
_REFUSED = {
    "authorizationheadermalformed",
    "expiredtoken",
    "expiredtokenexception",
    "incompletesignature",
    "invalidaccesskeyid",
    "invalidclienttokenid",
    "invalidsignature",
    "invalidtoken",
    "missingauthenticationtoken",
    "requestexpired",
    "requesttimetooskewed",
    "signaturedoesnotmatch",
    "tokenrefreshrequired",
    "unrecognizedclient",
}
_PASSING = {
    "internalfailure",
    "networkconnection",
    "requesttimeout",
    "serviceunavailable",
    "slowdown",
    "throttling",
}


def client(bucket: str) -> pafs.S3FileSystem:
    """A client for a bucket, by the standard AWS variables, files or instance profile.

    Raises:
        OSError: the bucket does not exist.
    """
    # pyarrow itself heeds these variables only where it is given a URI, which leaves no way to say
    # how often to try: it is 30 times then, every 0.2 s, however busy the server says it is.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return pafs.S3FileSystem(
        endpoint_override=endpoint or None,
        region=None if endpoint else pafs.resolve_s3_region(bucket),
        connect_timeout=CONNECT_SECONDS,
        request_timeout=SILENT_SECONDS,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )


def failure(text: str, error: Exception, filesystem: pafs.S3FileSystem, path: str) -> StorageError:
    """What a failed request means.

    Args:
        text: what could not be done, and why.
        error: of pyarrow.
        filesystem: that it came from.
        path: bucket and key of the object.
    """
    name, status = _code(error)
    if status == 400 or name == "ACCESS_DENIED":
        # Of one object or of all? The answer to HEAD does not say; that to a listing does.
        name, status = _asked(filesystem, path) or (name, status)
    if _plain(name) in _REFUSED:
        return AccessError(
            f"{text}. S3 refuses the credentials ({name}): renew or correct them, then give the "
            "same command again"
        )
    return _passing_or_not(text, name, status)


def no_client(text: str, error: Exception) -> StorageError:
    """What it means that a client could not be made, as its bucket could not be asked about."""
    return _passing_or_not(text, *_code(error))


def _passing_or_not(text: str, name: str, status: int) -> StorageError:
    if _plain(name) in _PASSING or status == 429 or status >= 500:
        return StorageUnavailable(f"{text}. S3 was tried time and again")
    return StorageError(text)


def _asked(filesystem: pafs.S3FileSystem, path: str) -> tuple[str, int] | None:
    try:
        filesystem.get_file_info(pafs.FileSelector(path, recursive=False, allow_not_found=True))
    except OSError as error:
        return _code(error)
    return None


def _code(error: Exception) -> tuple[str, int]:
    """The name of S3's error, as Arrow gives it, and its status (0 if Arrow does not say)."""
    found = _ERROR.search(str(error))
    if found is None:
        return "", 0
    return found["unknown"] or found["name"], int(found["status"] or 0)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
