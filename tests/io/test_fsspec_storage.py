"""Object stores that are reached through fsspec; a folder of its stands for them."""

import os
import sys

import fsspec
import pyarrow.fs as pafs
import pytest

from roi_ray.errors import AccessError, OutputError, StorageError, StorageUnavailable
from roi_ray.io import fsspec_storage, lease, storage
from roi_ray.io.lock import OutputLock
from tests.io.locks import check_lease


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A `gs://` folder whose objects are files, as fsspec reads and writes them."""
    local = fsspec.filesystem("file", auto_mkdir=True)
    files = fsspec.filesystem("dir", path=str(tmp_path), fs=local)
    client = pafs.PyFileSystem(fsspec_storage._Handler(files))
    monkeypatch.setattr(storage, "_fsspec_client", lambda _: client)
    return "gs://bucket/scores"


def test_objects_can_be_written_read_listed_moved_and_deleted(folder) -> None:
    assert storage.list_files(folder) == []
    storage.write_bytes(f"{folder}/a.bin", b"one")
    storage.write_bytes(f"{folder}/b.bin", b"")
    storage.write_bytes(f"{folder}/_run/run.json", b"{}")
    storage.write_bytes(f"{folder}/sub/c.bin", b"c")
    assert storage.list_files(folder) == ["a.bin", "b.bin"]
    assert storage.list_entries(folder) == (["a.bin", "b.bin"], ["sub"])
    assert storage.list_tree(folder) == ["a.bin", "b.bin", "sub/c.bin"]
    assert storage.file_sizes(folder) == {"a.bin": 3, "b.bin": 0}
    storage.write_bytes(f"{folder}/a.bin", b"three")
    assert storage.read_bytes(f"{folder}/a.bin") == b"three"
    with storage.open_file(f"{folder}/a.bin") as file:
        file.seek(2)
        assert file.read(2) == b"re"
    assert storage.is_folder(folder) and not storage.is_file(folder)
    storage.move(f"{folder}/a.bin", f"{folder}/_run/torn/a.bin")
    for _ in range(2):
        storage.delete(f"{folder}/b.bin")
    assert storage.list_files(folder) == []
    with pytest.raises(StorageError, match=r"read gs://bucket/scores/gone: no such object"):
        storage.read_bytes(f"{folder}/gone")


@pytest.mark.parametrize("read", [storage.read_bytes, storage.open_file])
@pytest.mark.parametrize(
    ("error", "kind"),
    [(TimeoutError("no answer"), StorageUnavailable), (FileNotFoundError("a.png"), StorageError)],
)
def test_storage_that_fails_is_not_taken_for_a_missing_object(
    monkeypatch, read, error, kind
) -> None:
    class Failing(fsspec.AbstractFileSystem):
        def info(self, path, **_):
            raise error

    client = pafs.PyFileSystem(fsspec_storage._Handler(Failing(skip_instance_cache=True)))
    monkeypatch.setattr(storage, "_fsspec_client", lambda _: client)
    with pytest.raises(StorageError) as failure:
        read("gs://bucket/a.png")
    assert type(failure.value) is kind


@pytest.mark.usefixtures("fast_lock")
def test_output_is_locked_without_conditions(folder) -> None:
    uri = f"{folder}/_run/lock.json"
    check_lease(lease.open_lease(uri))
    with OutputLock(uri) as mine:
        mine.check()
        with pytest.raises(OutputError, match="is writing there"):
            OutputLock(uri).__enter__()
    assert not storage.is_file(uri)


@pytest.mark.parametrize(
    ("scheme", "package", "extra"), [("gs", "gcsfs", "gcs"), ("az", "adlfs", "azure")]
)
def test_missing_package_is_named_with_the_extra(monkeypatch, scheme, package, extra) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    registered = sys.modules["fsspec.registry"]._registry  # `fsspec.registry` is another object
    monkeypatch.delitem(registered, scheme, raising=False)
    storage._fsspec_client.cache_clear()
    message = rf"{scheme}:// needs the package {package}: pip install 'roi-ray\[{extra}\]'"
    for use in (storage.read_bytes, storage.list_files, storage.check_writable):
        with pytest.raises(StorageError, match=message):
            use(f"{scheme}://bucket/a.png")


def test_errors_of_google_are_told_apart() -> None:
    retry = pytest.importorskip("gcsfs.retry")
    from google.auth.exceptions import DefaultCredentialsError, TransportError

    for error, kind in [
        (retry.HttpError({"code": 401, "message": "Anonymous caller"}), AccessError),
        (DefaultCredentialsError("no credentials"), AccessError),
        (retry.HttpError({"code": 403, "message": "Forbidden"}), StorageError),
        (retry.HttpError({"code": 503, "message": "Busy"}), StorageUnavailable),
        (TransportError("no answer"), StorageUnavailable),
        (FileNotFoundError("bucket/a.png"), StorageError),
    ]:
        explained = fsspec_storage.explain_failure("cannot read gs://bucket/a.png", error)
        assert type(explained) is kind, error
        assert str(explained).startswith("cannot read gs://bucket/a.png: ")


def test_errors_of_azure_are_told_apart() -> None:
    pytest.importorskip("adlfs")
    from azure.core.exceptions import (
        ClientAuthenticationError,
        HttpResponseError,
        ServiceRequestError,
    )

    wrapped = PermissionError("not readable")
    wrapped.__cause__ = ClientAuthenticationError("key is wrong\nRequestId: 7")
    for error, kind in [
        (ClientAuthenticationError("key is wrong\nRequestId: 7"), AccessError),
        (wrapped, AccessError),
        (ServiceRequestError("no route"), StorageUnavailable),
        (HttpResponseError("what is that"), StorageError),
    ]:
        explained = fsspec_storage.explain_failure("cannot read az://bucket/a.png", error)
        assert type(explained) is kind, error
        assert "RequestId" not in str(explained)


@pytest.mark.parametrize("setting", ["", "junk"])
def test_missing_account_of_azure_is_an_error_of_the_storage(monkeypatch, setting) -> None:
    pytest.importorskip("adlfs")
    for name in [name for name in os.environ if name.startswith("AZURE_STORAGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", setting)
    storage._fsspec_client.cache_clear()
    with pytest.raises(StorageError, match=r"^cannot use az://: .*AZURE_STORAGE_ACCOUNT_NAME"):
        storage.list_files("az://container/scores")
