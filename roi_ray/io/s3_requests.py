"""A client for the few requests to S3 that pyarrow cannot send: with conditions, or with a limit.

They go through s3fs: to the endpoint and region of the pyarrow client, with its timeouts and its
number of attempts.
"""

from contextlib import closing

from fsspec.asyn import sync
from s3fs import S3FileSystem

from roi_ray.io import s3, storage


class Client(S3FileSystem):  # type: ignore[misc]  # s3fs has no types
    """s3fs without retries of its own, which would multiply botocore's."""

    retries = 1
    cachable = False  # the next lease may need other credentials

    def close(self) -> None:
        """Close the connections."""
        if self._s3 is not None:
            sync(self.loop, self._s3.close)


def make_client(region: str) -> Client:
    """Make a client for buckets of a region; `close` it."""
    return Client(
        endpoint_url=s3.endpoint(),
        client_kwargs={"region_name": region},
        config_kwargs={
            "connect_timeout": s3.CONNECT_TIMEOUT_SECONDS,
            "read_timeout": s3.REQUEST_TIMEOUT_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": s3.MAX_ATTEMPTS},
            # As for the pyarrow client, an endpoint in a configuration file does not count.
            "ignore_configured_endpoint_urls": True,
            # Older servers refuse uploads with a checksum behind the content.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
    )


def list_some_keys(folder: str, limit: int, prefix: str = "") -> tuple[list[str], bool]:
    """List the first keys and folders directly in a folder, in one request.

    Args:
        folder: its absolute URI.
        limit: number of keys and folders, at most 1,000.
        prefix: text that all of them begin with.

    Returns:
        their names, those of folders with a `/` at the end, and whether these are all.

    Raises:
        StorageError: the folder cannot be listed.
    """
    client, path = storage.locate(folder)
    bucket, _, key = f"{path}/".partition("/")
    with closing(make_client(client.region)) as requests:
        try:
            answer = requests.call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=key + prefix, Delimiter="/", MaxKeys=limit
            )
        except Exception as error:  # s3fs and botocore have many
            raise s3.explain_answer(f"cannot list {folder}: {error}", error) from error
    keys = [entry["Key"] for entry in answer.get("Contents", ())]
    keys += [entry["Prefix"] for entry in answer.get("CommonPrefixes", ())]
    return [name[len(key) :] for name in keys if name != key], not answer["IsTruncated"]
