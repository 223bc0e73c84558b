"""Faults of S3: transient ones are retried, permanent ones are reported once."""

import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import AccessError, StorageError, StorageUnavailable
from roi_ray.io import storage
from tests.conftest import Photos, make_sweep_of
from tests.e2e.conftest import check_scores, start_job, upload_folder
from tests.e2e.faulty_s3 import Fault, FaultyS3
from tests.s3_server import BUCKET, SECRET, make_client

pytestmark = pytest.mark.e2e

FOLDER = f"s3://{BUCKET}/faulty"
CONTENT = np.random.default_rng(3).bytes(200_000)
PATIENCE = 600.0
"""Seconds that a job may take on a busy machine."""
READ, WRITE = ("GET", "HEAD"), ("PUT", "POST", "DELETE")


@pytest.fixture
def proxy_with(s3, monkeypatch) -> Callable[..., AbstractContextManager[FaultyS3]]:
    """Return a function that puts a proxy with faults between this process and the server."""

    @contextmanager
    def start_proxy(*faults: Fault) -> Iterator[FaultyS3]:
        with FaultyS3(s3["AWS_ENDPOINT_URL"], *faults) as proxy:
            for name, value in {**s3, "AWS_ENDPOINT_URL": proxy.url}.items():
                monkeypatch.setenv(name, value)
            storage._s3_client.cache_clear()
            yield proxy
        storage._s3_client.cache_clear()

    return start_proxy


def upload(environment: dict[str, str], *keys: str) -> None:
    client = make_client(environment)
    for key in keys:
        client.put_object(Bucket=BUCKET, Key=f"faulty/{key}", Body=CONTENT)


def test_transient_faults_are_retried_until_requests_succeed(s3, proxy_with, monkeypatch) -> None:
    # Short for the silent server, and long for the others on a busy machine: attempts are counted.
    monkeypatch.setattr("roi_ray.io.s3.REQUEST_TIMEOUT_SECONDS", 3.0)
    reads = {kind: 2 for kind in ("InternalError", "ServiceUnavailable", "SlowDown", "reset")}
    reads |= {"truncated": 2, "slow": 1, "silent": 1}
    writes = {"InternalError": 2, "SlowDown": 2, "reset": 2, "lost": 1}
    upload(s3, *reads)
    faults = [Fault(kind, methods=("GET",), key=f"/{kind}", times=n) for kind, n in reads.items()]
    faults += [Fault(kind, methods=WRITE, key=f"/to-{kind}", times=n) for kind, n in writes.items()]
    faults += [Fault("ServiceUnavailable", methods=("HEAD",), key="/reset", times=2)]
    with proxy_with(*faults) as proxy, ThreadPoolExecutor(12) as pool:
        reading = [pool.submit(storage.read_bytes, f"{FOLDER}/{kind}") for kind in reads]
        writing = [
            pool.submit(storage.write_bytes, f"{FOLDER}/to-{kind}", CONTENT) for kind in writes
        ]
        assert all(future.result() == CONTENT for future in reading)
        assert all(future.result() is None for future in writing)
    for kind, times in reads.items():
        attempts = proxy.requests["GET", f"/{BUCKET}/faulty/{kind}"]
        # A slow answer is not retried.
        assert attempts == times + (kind != "slow")
    expected = {kind: reads.get(kind, 0) + writes.get(kind, 0) for kind in {**reads, **writes}}
    expected["ServiceUnavailable"] += 2
    assert proxy.injected == expected
    for kind in writes:
        key = f"faulty/to-{kind}"
        assert make_client(s3).get_object(Bucket=BUCKET, Key=key)["Body"].read() == CONTENT


def test_persistent_faults_become_storage_unavailable(s3, proxy_with, monkeypatch) -> None:
    monkeypatch.setattr("roi_ray.io.s3.REQUEST_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr("roi_ray.io.s3.MAX_ATTEMPTS", 2)
    kinds = ("InternalError", "SlowDown", "reset", "truncated", "silent")
    upload(s3, *kinds)
    faults = [Fault(kind, methods=("GET",), key=f"/{kind}") for kind in kinds]
    with proxy_with(*faults) as proxy, ThreadPoolExecutor(5) as pool:
        futures = {kind: pool.submit(storage.read_bytes, f"{FOLDER}/{kind}") for kind in kinds}
        for kind, future in futures.items():
            with pytest.raises(StorageUnavailable, match=f"cannot read {FOLDER}/{kind}: "):
                future.result()
            assert proxy.requests["GET", f"/{BUCKET}/faulty/{kind}"] == 2
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)  # the proxy has ended
    with pytest.raises(StorageUnavailable, match="connect"):
        storage.read_bytes(f"{FOLDER}/reset")
    storage._s3_client.cache_clear()


@pytest.mark.parametrize(
    "code", ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"]
)
def test_refused_credentials_are_an_access_error_without_retries(s3, proxy_with, code) -> None:
    upload(s3, "a.bin")
    uri = f"{FOLDER}/a.bin"
    with proxy_with(Fault(code)) as proxy:
        for function in (
            storage.read_bytes,
            storage.open_file,
            storage.is_file,
            storage.list_files,
            lambda uri: storage.write_bytes(uri, b""),
            storage.delete,
        ):
            before = proxy.injected[code]
            with pytest.raises(AccessError) as caught:
                function(uri)
            assert uri in str(caught.value)
            assert "renew or correct" in str(caught.value)
            assert code.lower() in str(caught.value).replace("_", "").lower()
            assert proxy.injected[code] - before <= 2


def test_missing_or_forbidden_object_is_a_plain_storage_error(s3, proxy_with) -> None:
    upload(s3, "missing", "forbidden", "fine")
    faults = Fault("NoSuchKey", key="/missing"), Fault("AccessDenied", key="/forbidden")
    with proxy_with(*faults) as proxy:
        for name in ("missing", "forbidden"):
            with pytest.raises(StorageError, match=f"cannot read {FOLDER}/{name}") as caught:
                storage.read_bytes(f"{FOLDER}/{name}")
            assert type(caught.value) is StorageError
            assert proxy.requests["HEAD", f"/{BUCKET}/faulty/{name}"] == 1
        assert storage.read_bytes(f"{FOLDER}/fine") == CONTENT


@pytest.mark.long
def test_job_retries_transient_faults_stops_when_credentials_expire_and_resumes(
    s3, tmp_path: Path, photos: Photos
) -> None:
    make_sweep_of(photos, tmp_path / "sweep")
    files = [path for path in (tmp_path / "sweep").rglob("*") if path.is_file()]
    upload_folder(s3, tmp_path / "sweep", "expiring")
    arguments = ("--manifest", f"s3://{BUCKET}/expiring/manifest.parquet", "--shard-size", "6")
    arguments += ("--output", f"s3://{BUCKET}/expired")
    transient = ("InternalError", "SlowDown", "reset")
    mix = [Fault(kind, share=0.04, methods=READ) for kind in transient]
    mix += [Fault("truncated", share=0.04, methods=("GET",))]
    mix += [Fault(kind, share=0.06, methods=WRITE) for kind in ("SlowDown", "reset", "lost")]
    # Images of the last photograph wait until the credentials have expired.
    last = f"expiring/decoded/webp/{list(photos)[-1]}"
    with FaultyS3(s3["AWS_ENDPOINT_URL"], Fault("paused", key=last), *mix, seed=6) as proxy:
        environment = {**s3, "AWS_ENDPOINT_URL": proxy.url}
        job = start_job(*arguments, "--engine", "ray", "--actors", "1", **environment)
        deadline = time.monotonic() + PATIENCE
        while not (early := read_shards(s3, "expired")):
            assert job.poll() is None, job.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        proxy.release(Fault("ExpiredToken", key="expiring/"), *mix)
        out, err = job.communicate(timeout=PATIENCE)
        assert job.returncode == 2, err
        (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
        # The error names any of the images that had not been read before.
        assert f"cannot read s3://{BUCKET}/expiring/" in line
        assert "ExpiredToken" in line and "renew" in line
        assert "Traceback" not in err and SECRET not in err + out
        assert 0 < proxy.injected["ExpiredToken"] <= 2 * len(files)
        stayed = read_shards(s3, "expired")
        assert early.items() <= stayed.items() and len(stayed) < 6

        proxy.release(*mix)
        job = start_job(*arguments, "--engine", "local", **environment)
        out, err = job.communicate(timeout=PATIENCE)
    assert job.returncode == 0, err
    assert f"36 pairs, 0 failed; {36 - 6 * len(stayed)} scored now" in out
    assert SECRET not in err + out
    assert proxy.injected.keys() >= {*transient, "truncated", "lost"}
    # The lock is left out, because it is written every few seconds.
    assert max(n for (_, path), n in proxy.requests.items() if "/_run/" not in path) < 30

    done = read_shards(s3, "expired")
    assert len(done) == 6 and stayed.items() <= done.items()
    rows = [row for data in done.values() for row in pq.read_table(io.BytesIO(data)).to_pylist()]
    assert len({row["pair_id"] for row in rows}) == len(rows) == 36
    check_scores(rows, tmp_path / "sweep")


def read_shards(environment: dict[str, str], prefix: str) -> dict[str, bytes]:
    """Return the shards of an output by key, read without the proxy."""
    client = make_client(environment)
    listing = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/").get("Contents", [])
    keys = [item["Key"] for item in listing if item["Key"].endswith(".parquet")]
    return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def test_bucket_without_a_resolvable_region_is_storage_unavailable(monkeypatch) -> None:
    """Without an endpoint, as on AWS, the first request asks for the bucket's region."""

    def fail(bucket: str) -> str:
        raise OSError(
            f"When resolving region for bucket '{bucket}': AWS Error NETWORK_CONNECTION during "
            "HeadBucket operation: curlCode: 6, Couldn't resolve host name"
        )

    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr("pyarrow.fs.resolve_s3_region", fail)
    with pytest.raises(StorageUnavailable, match=r"cannot use s3://far-away: .*NETWORK_CONNECTION"):
        storage.read_bytes("s3://far-away/x.png")
