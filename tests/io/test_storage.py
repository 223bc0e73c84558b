import os

import pytest

from roi_ray.errors import StorageError
from roi_ray.io import storage


def test_files_can_be_written_read_listed_and_moved(tmp_path) -> None:
    folder = str(tmp_path / "new" / "folder")
    assert storage.list_files(folder) == []
    storage.write_bytes(storage.join(folder, "b.bin"), b"two")
    storage.write_bytes(storage.join(folder, "a.bin"), b"one")
    storage.write_bytes(storage.join(folder, "a.bin"), b"three")
    storage.write_bytes(storage.join(folder, "_run", "x"), b"")
    assert storage.list_files(folder) == ["a.bin", "b.bin"]
    assert storage.read_bytes(storage.join(folder, "a.bin")) == b"three"
    storage.move(storage.join(folder, "a.bin"), storage.join(folder, "_run", "torn", "a.bin"))
    assert storage.list_files(folder) == ["b.bin"]
    assert storage.is_file(storage.join(folder, "_run", "torn", "a.bin"))
    assert storage.is_folder(folder)
    assert not storage.is_folder(storage.join(folder, "b.bin"))


def test_file_sizes_are_reported_and_delete_ignores_missing_files(tmp_path) -> None:
    uri = storage.join(str(tmp_path), "a.bin")
    assert storage.file_size(uri) == 0
    storage.write_bytes(uri, b"three")
    assert storage.file_size(uri) == 5
    assert storage.file_sizes(str(tmp_path)) == {"a.bin": 5}
    for _ in range(2):  # a file that does not exist is no error
        storage.delete(uri)
        assert not storage.is_file(uri)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch) -> None:
    target = tmp_path / "scores.parquet"
    target.write_bytes(b"old")

    def raise_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", raise_full)
    with pytest.raises(StorageError, match=r"cannot write .*scores.parquet: No space left"):
        storage.write_bytes(str(target), b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_errors_name_the_file_and_the_reason(tmp_path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*nothing: No such file or directory"):
        storage.read_bytes(str(tmp_path / "nothing"))
    with pytest.raises(StorageError, match="cannot read"):
        storage.read_bytes(str(tmp_path))
    with pytest.raises(
        StorageError, match=r"open https://example.org/x.png: only local paths and s3://BUCKET/KEY"
    ):
        storage.read_bytes("https://example.org/x.png")
    with pytest.raises(StorageError, match="names no bucket"):
        storage.read_bytes("s3://")


@pytest.mark.parametrize(
    "function", ["read_bytes", "list_files", "is_file", "is_folder", "file_size", "delete"]
)
@pytest.mark.parametrize("uri", ["s3://bucket//a", "s3://KEY:HIDDEN@bucket/a", "s3:///a"])
def test_malformed_s3_uris_are_storage_errors_without_secrets(monkeypatch, function, uri) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(StorageError) as caught:
        getattr(storage, function)(uri)
    assert "HIDDEN" not in str(caught.value)


def test_check_writable_leaves_nothing_and_refuses_a_file(tmp_path) -> None:
    storage.check_writable(str(tmp_path / "new"))
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        storage.check_writable(str(tmp_path / "file"))


def test_pipe_is_refused_without_blocking(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(StorageError, match=r"cannot read .*pipe.png: it is not a regular file"):
        storage.read_bytes(str(tmp_path / "pipe.png"))
