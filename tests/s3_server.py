"""A real S3 server for tests: SeaweedFS on loopback, with credentials."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from roi_ray.io import storage
from tests.ports import free_ports

BUCKET = "sweeps"
_CONDITIONS = {"if-match", "if-none-match"}
KEY, SECRET = "reader-and-writer", "not-so-secret-0123456789"


@pytest.fixture(scope="session")
def s3(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Run a server with an empty bucket; yield the AWS variables that reach it."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    ports = dict(zip(("master", "volume", "filer", "s3"), free_ports(4), strict=True))
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("weed")),
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-dir={folder / 'data'}",
                "-s3",
                f"-s3.config={folder / 's3.json'}",
                *(f"-{name}.port={port}" for name, port in ports.items()),
                # As on AWS, writing to a bucket that does not exist is an error.
                "-s3.autoCreateBucket=false",
                # The table catalogues listen on fixed ports: two servers would collide.
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ],
            stdout=log,
            stderr=log,
        )
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3']}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        _create_bucket(environment, server, folder / "log")
        yield environment
    finally:
        server.kill()  # an orderly end takes half a minute
        server.wait()


@pytest.fixture
def s3_in_this_process(s3, monkeypatch) -> Iterator[dict[str, str]]:
    """Let this process reach the server with the same variables as jobs."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    storage._s3_client.cache_clear()
    yield s3
    storage._s3_client.cache_clear()


def make_client(environment: dict[str, str]):
    """Return a boto3 client, to prepare the server and to inspect the output of jobs."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
        config=Config(retries={"max_attempts": 1}),
    )


def _create_bucket(environment: dict[str, str], server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not _try_to_create_bucket(environment):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"SeaweedFS does not start: {log.read_text()[-2000:]}")
        time.sleep(0.3)


def _try_to_create_bucket(environment: dict[str, str]) -> bool:
    """Create the bucket; return whether the server accepts objects in it."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = make_client(environment)
    try:
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="probe", Body=b"x")
        client.delete_object(Bucket=BUCKET, Key="probe")
    except (BotoCoreError, ClientError):
        return False
    return True


def sign_without_conditions(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes
) -> list[tuple[str, str]]:
    """Drop the conditions of a request to the server and sign the rest with the tests' key."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    if not any(name.lower() in _CONDITIONS for name, _ in headers):
        return headers
    renewed = {"authorization", "content-length", "x-amz-date", "x-amz-content-sha256"}
    kept = {name: value for name, value in headers if name.lower() not in _CONDITIONS | renewed}
    request = AWSRequest(method, url, kept, body)
    request.context["payload_signing_enabled"] = True
    S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
    return list(request.headers.items())
