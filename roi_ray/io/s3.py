"""The S3 client: its retries, and the error to raise when a request finally fails.

The AWS SDK retries transient errors (5xx, throttling, resets, incomplete bodies, no answer) in its
"standard" mode: with pauses that double up to 20 s, with jitter, as long as most requests succeed.
An error that remains concerns a single object (StorageError), or S3 refuses the credentials for all
objects (AccessError), or S3 cannot be reached (StorageUnavailable).
"""

import os
import re

import pyarrow.fs as pafs

from roi_ray.errors import AccessError, StorageError, StorageUnavailable

MAX_ATTEMPTS = 8
"""Attempts per request. The pauses between them take about 40 s in all, at most 70 s."""
CONNECT_TIMEOUT_SECONDS = 5.0
REQUEST_TIMEOUT_SECONDS = 10.0
"""An attempt fails if no byte arrives for this long."""

# Arrow writes the names of errors that it knows in its own spelling. For others it writes the HTTP
# status, then the server's error name if the answer has a body; that to a HEAD request has none.
_ERROR = re.compile(
    r"AWS Error (?P<name>\w+)(?: \(HTTP status (?P<status>\d+)\))? during \w+ operation"
    r"(?:: Unable to parse ExceptionName: (?P<unknown>\w+))?"
)
_CREDENTIAL_ERRORS = {
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
_TRANSIENT_ERRORS = {
    "internalfailure",
    "networkconnection",
    "requesttimeout",
    "serviceunavailable",
    "slowdown",
    "throttling",
}


def endpoint() -> str | None:
    """Return the URL of the server; None means AWS."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def make_client(bucket: str) -> pafs.S3FileSystem:
    """Make a client for a bucket, configured by AWS variables, files or instance profile.

    Raises:
        OSError: the bucket does not exist, or its region cannot be determined.
    """
    # pyarrow reads the endpoint variables only if it makes the file system from a URI. The retry
    # strategy could not be set then: it would be 30 attempts, 0.2 s apart, however busy S3 is.
    return pafs.S3FileSystem(
        endpoint_override=endpoint(),
        region=None if endpoint() else pafs.resolve_s3_region(bucket),
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        request_timeout=REQUEST_TIMEOUT_SECONDS,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=MAX_ATTEMPTS),
    )


def explain_failure(
    text: str, error: Exception, filesystem: pafs.S3FileSystem, path: str
) -> StorageError:
    """Return the error to raise for a failed request.

    Args:
        text: message that says what failed and why.
        error: pyarrow's error.
        filesystem: the client that raised the error.
        path: bucket and key of the object.
    """
    name, status = _parse_error(error)
    if status == 400 or name == "ACCESS_DENIED":
        # The answer to HEAD does not say whether S3 refuses one object or all. A listing does.
        name, status = _error_of_listing(filesystem, path) or (name, status)
    return _classify(text, name, status)


def explain_no_client(text: str, error: Exception) -> StorageError:
    """Return the error to raise if `make_client` failed."""
    return _classify(text, *_parse_error(error))


def explain_answer(text: str, error: Exception) -> StorageError:
    """Return the error to raise for a request that failed in s3fs.

    Args:
        text: message that says what failed and why.
        error: the error of s3fs.
    """
    return _classify(text, *parse_answer(error))


def parse_answer(error: Exception) -> tuple[str, int]:
    """Return the name of S3's error and its HTTP status, from an error of s3fs.

    Without an answer of S3, the name is "networkconnection", "missingauthenticationtoken" (no
    credentials were found), or "" for any other error; the status is 0.
    """
    from botocore import exceptions

    cause = error.__cause__ if isinstance(error.__cause__, exceptions.ClientError) else error
    if isinstance(cause, exceptions.ClientError):
        status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return str(cause.response.get("Error", {}).get("Code", "")), int(status)
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return "missingauthenticationtoken", 0
    network = (exceptions.HTTPClientError, exceptions.ConnectionError, OSError, TimeoutError)
    return "networkconnection" if isinstance(error, network) else "", 0


def _classify(text: str, name: str, status: int) -> StorageError:
    if _canonical(name) in _CREDENTIAL_ERRORS:
        return AccessError(
            f"{text}. S3 refuses the credentials ({name}): renew or correct them, then run the "
            "same command again"
        )
    if _canonical(name) in _TRANSIENT_ERRORS or status == 429 or status >= 500:
        return StorageUnavailable(f"{text}. S3 failed on every attempt")
    return StorageError(text)


def _error_of_listing(filesystem: pafs.S3FileSystem, path: str) -> tuple[str, int] | None:
    try:
        filesystem.get_file_info(pafs.FileSelector(path, recursive=False, allow_not_found=True))
    except (OSError, ValueError) as error:  # ValueError: this process ends, and Arrow's S3 with it
        return _parse_error(error)
    return None


def _parse_error(error: Exception) -> tuple[str, int]:
    """Return the name of S3's error and its HTTP status; "" and 0 if Arrow gives none."""
    # Arrow has no error types for S3's errors: only the message tells them apart.
    match = _ERROR.search(str(error))
    if match is None:
        return "", 0
    return match["unknown"] or match["name"], int(match["status"] or 0)


def _canonical(name: str) -> str:
    """Return an error's name in one spelling, whether Arrow or the server wrote it."""
    return name.replace("_", "").lower()
