"""The output lock on a real S3 server, with real processes and shortened times."""

import json
import time
from contextlib import ExitStack, closing

import pytest

from roi_ray.errors import AccessError, OutputError, StorageError, StorageUnavailable
from roi_ray.io import lease, lock, s3, storage
from roi_ray.io.lock import OutputLock
from roi_ray.io.s3_lease import S3Lease
from tests.e2e.faulty_s3 import Fault, FaultyS3
from tests.io.locks import (
    check_lease,
    check_suspended_holder,
    check_that_one_wins,
    run_holder,
    wait_for_heartbeats,
    write_dead_lock,
)
from tests.s3_server import BUCKET, KEY, SECRET, make_client

pytestmark = pytest.mark.usefixtures("fast_lock", "s3_in_this_process")


@pytest.fixture
def uri(request):
    return f"s3://{BUCKET}/{request.node.name}/scores/_run/lock.json"


@pytest.fixture
def faulty_s3(s3_in_this_process, monkeypatch):
    """A function that puts a proxy with faults in front of the server."""
    with ExitStack() as proxies:

        def start(*faults: Fault) -> FaultyS3:
            proxy = FaultyS3(s3_in_this_process["AWS_ENDPOINT_URL"], *faults)
            proxies.enter_context(proxy)
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
            storage._s3_client.cache_clear()
            return proxy

        yield start


def test_one_of_16_racing_jobs_gets_a_free_lock_and_that_of_a_dead_job(uri) -> None:
    dead = uri.replace("scores", "dead")
    write_dead_lock(dead)
    check_that_one_wins(uri, dead)


def test_suspended_job_stops_when_it_goes_on_and_changes_nothing(uri) -> None:
    check_suspended_holder(uri)


def test_lock_of_a_killed_job_on_this_machine_is_free_at_once(uri, monkeypatch) -> None:
    with run_holder(uri) as holder:
        with pytest.raises(OutputError, match=rf"a job on .* \(process {holder.pid}\) is writing"):
            OutputLock(uri).__enter__()
        holder.kill()
        holder.wait()
        monkeypatch.setattr(lock, "TIMEOUT_SECONDS", 120.0)
        started = time.monotonic()
        with OutputLock(uri):
            assert time.monotonic() - started < lock.TIMEOUT_SECONDS / 2


def test_lock_leaves_no_object(uri, s3) -> None:
    with OutputLock(uri) as mine:
        wait_for_heartbeats(mine)
        mine.check()
    listing = make_client(s3).list_objects_v2(Bucket=BUCKET, Prefix=uri.split("/")[3])
    assert listing.get("Contents", []) == []


def test_lease_changes_only_the_version_that_is_named(uri) -> None:
    a_lease = lease.open_lease(uri)
    assert isinstance(a_lease, S3Lease)
    check_lease(a_lease)


def test_lease_of_a_server_that_deletes_without_conditions(uri, faulty_s3) -> None:
    faulty_s3(Fault("unconditional", methods=("DELETE",)))
    a_lease = lease.open_lease(uri)
    assert isinstance(a_lease, S3Lease)
    assert not a_lease._deletes_conditionally
    check_lease(a_lease)


@pytest.mark.parametrize("kind", ["truncated", "reset"])
def test_answer_that_breaks_off_is_asked_for_again(uri, faulty_s3, kind) -> None:
    content = b"0123456789" * 20
    proxy = faulty_s3(Fault(kind, share=0.5, methods=("GET",), key="lock.json"))
    with closing(lease.open_lease(uri)) as a_lease:
        assert [a_lease.read() for _ in range(3)] == [None] * 3
        version = a_lease.create(content)
        for _ in range(3):
            stored = a_lease.read()
            assert stored is not None and (stored.data, stored.version) == (content, version)
    assert proxy.injected[kind] == 6


def test_refusal_that_breaks_off_is_asked_for_again(uri, faulty_s3) -> None:
    faulty_s3(Fault("truncated", share=0.5, methods=("PUT",), key="lock.json"))
    with closing(lease.open_lease(uri)) as a_lease:
        version = a_lease.create(b"mine")
        assert [a_lease.create(b"other") for _ in range(3)] == [None] * 3
        stored = a_lease.read()
        assert stored is not None and stored.data == b"mine"
        assert version in (None, stored.version)


def test_server_that_ignores_conditions_is_locked_without_them(uri, faulty_s3) -> None:
    proxy = faulty_s3(Fault("unconditional"))
    write_dead_lock(uri)
    with OutputLock(uri) as mine:
        wait_for_heartbeats(mine)
        mine.check()
        assert isinstance(mine._lease, lease.UnconditionalLease)
        with pytest.raises(OutputError, match="is writing there"):
            OutputLock(uri).__enter__()
        # Another job found the lock free too, and wrote last.
        other = {"owner": "x", "host": "elsewhere", "machine": "m", "pid": 7, "heartbeat": 3}
        storage.write_bytes(uri, json.dumps(other).encode())
        wait_for_heartbeats(mine)
        with pytest.raises(OutputError, match=r"a job on elsewhere \(process 7\) has taken over"):
            mine.check()
    assert json.loads(storage.read_bytes(uri)) == other
    assert proxy.injected["unconditional"] > 0


@pytest.mark.parametrize("kind", ["NotImplemented", "InvalidArgument"])
def test_server_that_rejects_conditions_is_locked_without_them(uri, faulty_s3, kind) -> None:
    faulty_s3(Fault(kind, methods=("PUT",), times=1), Fault(kind, methods=("DELETE",), times=1))
    with OutputLock(uri) as mine:
        assert isinstance(mine._lease, lease.UnconditionalLease)


def test_lock_is_ours_if_the_answers_to_our_writes_are_lost(uri, faulty_s3) -> None:
    """The retry of a write that succeeded is refused."""
    proxy = faulty_s3(Fault("lost", methods=("PUT",), key="lock.json", times=1))
    with OutputLock(uri) as mine:
        assert proxy.injected["lost"] == 1
        proxy.faults.append(Fault("lost", methods=("PUT",), key="lock.json", times=1))
        wait_for_heartbeats(mine)
        mine.check()
        assert proxy.injected["lost"] == 2
        beats = json.loads(storage.read_bytes(uri))["heartbeat"]
        wait_for_heartbeats(mine)
        assert json.loads(storage.read_bytes(uri))["heartbeat"] > beats
        proxy.faults.append(Fault("lost", methods=("DELETE",), key="lock.json", times=1))
    assert proxy.injected["lost"] == 3
    assert not storage.is_file(uri)


def test_requests_are_repeated_as_often_as_pyarrows(uri, faulty_s3, monkeypatch) -> None:
    monkeypatch.setattr(s3, "MAX_ATTEMPTS", 2)
    proxy = faulty_s3(Fault("ServiceUnavailable", methods=("PUT", "POST")))
    for use in (OutputLock(uri).__enter__, lambda: storage.write_bytes(uri, b"")):
        proxy.injected.clear()
        with pytest.raises(StorageUnavailable, match="S3 failed on every attempt"):
            use()
        assert proxy.injected["ServiceUnavailable"] == 2


def test_dead_server_is_unavailable(uri, monkeypatch) -> None:
    monkeypatch.setattr(s3, "MAX_ATTEMPTS", 2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "")
    storage._s3_client.cache_clear()
    with pytest.raises(StorageUnavailable, match="S3 failed on every attempt"):
        OutputLock(uri).__enter__()


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_refused_credentials_are_an_access_error(uri, monkeypatch, name) -> None:
    monkeypatch.setenv(name, "another")
    storage._s3_client.cache_clear()
    with pytest.raises(AccessError, match="S3 refuses the credentials"):
        OutputLock(uri).__enter__()


def test_credentials_come_from_the_same_profile_and_endpoint_from_the_same_variables(
    uri, s3, monkeypatch, tmp_path
) -> None:
    """An endpoint in the configuration file does not count, as it does not for pyarrow."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text(
        f"[lab]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )
    (tmp_path / "config").write_text("[profile lab]\nendpoint_url = http://127.0.0.1:9\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    storage._s3_client.cache_clear()
    with OutputLock(uri):
        assert b"heartbeat" in storage.read_bytes(uri)


def test_missing_bucket_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="The specified bucket does not exist"):
        OutputLock("s3://no-such-bucket/scores/_run/lock.json").__enter__()
