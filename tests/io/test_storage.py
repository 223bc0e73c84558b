import os

import pytest

from roi_ray.errors import StorageError
from roi_ray.io import storage


def test_write_read_list_move(tmp_path) -> None:
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


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch) -> None:
    target = tmp_path / "scores.parquet"
    target.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
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


def test_resolve() -> None:
    assert storage.resolve("x/y.png", "/data") == "/data/x/y.png"
    assert storage.resolve("x.png", "s3://bucket/sweep") == "s3://bucket/sweep/x.png"
    assert storage.resolve("/abs/x.png", "s3://bucket/sweep") == "/abs/x.png"
    assert storage.resolve("s3://other/x.png", "/data") == "s3://other/x.png"
    # A key has no dots; where they lead, the policy looks at.
    for dotted in ("./x.png", "y/../x.png", "s3://bucket/sweep/./x.png"):
        assert storage.resolve(dotted, "s3://bucket/sweep") == "s3://bucket/sweep/x.png"
    assert storage.resolve("..x/a...png", "s3://bucket/sweep") == "s3://bucket/sweep/..x/a...png"


def test_absolute(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage.absolute("out/") == str(tmp_path / "out")
    assert storage.absolute("file:///a/b") == "/a/b"
    assert storage.absolute("s3://bucket/prefix/") == "s3://bucket/prefix"
    assert storage.absolute("s3://bucket/a/../prefix") == "s3://bucket/prefix"
    for unset in ("s3://", "s3:///scores"):
        with pytest.raises(StorageError, match="names no bucket"):
            storage.absolute(unset)
    assert storage.absolute("~/x") == os.path.expanduser("~/x")
    # Not folders of these names on the driver's disk.
    for uri in ("gs://bucket/scores", "S3://bucket/scores", "s3a://bucket/scores", "s3:/bucket/x"):
        with pytest.raises(StorageError, match=f"cannot open {uri}: only local paths and s3://"):
            storage.absolute(uri)


def test_an_unset_variable_is_not_the_current_folder() -> None:
    with pytest.raises(StorageError, match="an empty path"):
        storage.absolute("")


@pytest.mark.parametrize(
    "act", ["read_bytes", "list_files", "is_file", "is_folder", "file_size", "delete"]
)
@pytest.mark.parametrize("uri", ["s3://bucket//a", "s3://KEY:HIDDEN@bucket/a", "s3:///a"])
def test_uris_that_are_none(monkeypatch, act, uri) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(StorageError) as caught:
        getattr(storage, act)(uri)
    assert "HIDDEN" not in str(caught.value)


def test_a_folder_that_cannot_be_written_to(tmp_path) -> None:
    storage.check_writable(str(tmp_path / "new"))
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        storage.check_writable(str(tmp_path / "file"))


@pytest.mark.parametrize("uri", ["s3://KEY:topsecret@bucket/x", "s3://KEY:top/secret@bucket/x"])
@pytest.mark.parametrize("use", [storage.absolute, storage.read_bytes, storage.list_files])
def test_credentials_in_a_uri_are_refused_and_not_repeated(use, uri) -> None:
    with pytest.raises(StorageError, match="never in a URI") as told:
        use(uri)
    assert "secret" not in str(told.value)


def test_what_is_no_regular_file_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(StorageError, match=r"cannot read .*pipe.png: it is not a regular file"):
        storage.read_bytes(str(tmp_path / "pipe.png"))


def test_a_file_uri_is_percent_encoded(tmp_path) -> None:
    (tmp_path / "a b%.txt").write_bytes(b"x")
    assert storage.read_bytes((tmp_path / "a b%.txt").as_uri()) == b"x"
    assert storage.absolute("file:///a%20b/%2e%2e/c") == "/c"
    assert storage.absolute("/a%20b") == "/a%20b"
