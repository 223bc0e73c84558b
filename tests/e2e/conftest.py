"""A real S3 server (SeaweedFS on loopback, with credentials), and functions that run whole jobs."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from roi_ray import schema
from roi_ray.imaging.decode import decode_image
from roi_ray.io import storage
from roi_ray.scoring.scorer import Scorer
from tests.conftest import Photos, encode, write

BUCKET = "sweeps"
KEY, SECRET = "reader-and-writer", "not-so-secret-0123456789"


def free_ports(number: int) -> list[int]:
    """Return free ports up to 55,000: SeaweedFS adds 10,000 to each for gRPC."""
    ports: list[int] = []
    while len(ports) < number:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port <= 55_000 and port not in ports:
            ports.append(port)
    return ports


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
    client = make_client(environment)
    try:
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="probe", Body=b"x")
        client.delete_object(Bucket=BUCKET, Key="probe")
    except (BotoCoreError, ClientError):
        return False
    return True


_SCRIPT = Path(__file__).parents[2] / "jobs" / "score.py"


def run_job(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python jobs/score.py ...` from another folder, as a user does."""
    return subprocess.run(
        [sys.executable, str(_SCRIPT), *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def start_job(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `python jobs/score.py ...` and return without waiting."""
    return subprocess.Popen(
        [sys.executable, str(_SCRIPT), *arguments],
        env={**os.environ, **environment},
        # In its own process group, so that a kill also ends the driver's Ray, like a lost machine.
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_script(script: str, *arguments: object, timeout: float) -> dict[str, Any]:
    """Run a script of this folder in its own process; return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Ray may print other lines.
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("{")]
    result: dict[str, Any] = json.loads(line)
    return result


def upload_folder(environment: dict[str, str], folder: Path, prefix: str, without: str = "") -> str:
    """Upload the files of a folder except one; return the folder's URI on the server."""
    client = make_client(environment)
    for path in (path for path in folder.rglob("*") if path.is_file()):
        if (key := str(path.relative_to(folder))) != without:
            client.upload_file(str(path), BUCKET, f"{prefix}/{key}")
    return f"s3://{BUCKET}/{prefix}"


def make_many_small_pairs(folder: Path, photos: Photos, count: int, height: int = 40) -> str:
    """Write crops of photographs and 20 JPEG files of each; return the manifest's path."""
    rows = []
    for index in range(count // 20):
        photo = photos[list(photos)[index % len(photos)]]
        top, left = 7 * index % 200, 11 * index % 250
        x = photo[top : top + height, left : left + height + 8]
        write(folder / f"{index}.png", encode(x))
        for quality in range(20):
            name = f"{index}-{quality}.jpg"
            write(folder / name, encode(x, "JPEG", quality=4 + 4 * quality))
            rows.append({"reference": f"{index}.png", "distorted": name})
    pq.write_table(pa.Table.from_pylist(rows), folder / "m.parquet")
    return str(folder / "m.parquet")


def check_scores(rows: list[dict[str, Any]], folder: Path) -> None:
    """Check that each row has the scores that a Scorer computes without Ray.

    Args:
        rows: rows of an output without error rows.
        folder: folder of the manifest; references and distorted images are relative to it.
    """
    scorer = Scorer()
    for reference, group in groupby(rows, key=lambda row: row[schema.REFERENCE]):
        rows_of_reference = list(group)
        prepared = scorer.prepare(decode_image((folder / reference).read_bytes()))
        files = [folder / row[schema.DISTORTED] for row in rows_of_reference]
        expected = scorer.score(prepared, [decode_image(file.read_bytes()) for file in files])
        for row, scores in zip(rows_of_reference, expected, strict=True):
            numbers = scores.to_dict()
            assert {name: row[name] for name in numbers} == pytest.approx(
                numbers, rel=1e-6, abs=1e-6
            )
