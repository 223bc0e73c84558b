import os

import pytest

from roi_ray.errors import StorageError
from roi_ray.io import storage


def test_resolve_puts_relative_uris_below_the_base() -> None:
    assert storage.resolve("x/y.png", "/data") == "/data/x/y.png"
    assert storage.resolve("x.png", "s3://bucket/sweep") == "s3://bucket/sweep/x.png"
    assert storage.resolve("/abs/x.png", "s3://bucket/sweep") == "/abs/x.png"
    assert storage.resolve("s3://other/x.png", "/data") == "s3://other/x.png"


def test_resolve_removes_dots_from_s3_keys() -> None:
    """S3 would take dots literally; the allowlist checks the resolved key."""
    for dotted in ("./x.png", "y/../x.png", "s3://bucket/sweep/./x.png"):
        assert storage.resolve(dotted, "s3://bucket/sweep") == "s3://bucket/sweep/x.png"
    assert storage.resolve("..x/a...png", "s3://bucket/sweep") == "s3://bucket/sweep/..x/a...png"


def test_absolute_resolves_paths_home_folders_and_uris(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage.absolute("out/") == str(tmp_path / "out")
    assert storage.absolute("~/x") == os.path.expanduser("~/x")
    assert storage.absolute("file:///a/b") == "/a/b"
    assert storage.absolute("s3://bucket/prefix/") == "s3://bucket/prefix"
    assert storage.absolute("s3://bucket/a/../prefix") == "s3://bucket/prefix"


def test_s3_uri_without_a_bucket_is_refused() -> None:
    for uri in ("s3://", "s3:///scores"):
        with pytest.raises(StorageError, match="names no bucket"):
            storage.absolute(uri)


@pytest.mark.parametrize(
    "uri",
    ["http://host/scores", "S3://bucket/x", "s3a://bucket/x", "s3:/bucket/x", "gs:/b/x", "AZ:/b/x"],
)
def test_other_schemes_are_refused_and_not_taken_for_local_folders(uri) -> None:
    with pytest.raises(StorageError, match=f"cannot open {uri}: only local paths and s3://"):
        storage.absolute(uri)


def test_empty_path_is_refused_and_not_taken_for_the_current_folder() -> None:
    with pytest.raises(StorageError, match="an empty path"):
        storage.absolute("")


@pytest.mark.parametrize("uri", ["s3://KEY:topsecret@bucket/x", "s3://KEY:top/secret@bucket/x"])
@pytest.mark.parametrize("use", [storage.absolute, storage.read_bytes, storage.list_files])
def test_credentials_in_a_uri_are_refused_and_not_repeated(use, uri) -> None:
    with pytest.raises(StorageError, match="never in a URI") as caught:
        use(uri)
    assert "secret" not in str(caught.value)


def test_file_uris_are_percent_encoded_and_paths_are_not(tmp_path) -> None:
    (tmp_path / "a b%.txt").write_bytes(b"x")
    assert storage.read_bytes((tmp_path / "a b%.txt").as_uri()) == b"x"
    assert storage.absolute("file:///a%20b/%2e%2e/c") == "/c"
    assert storage.absolute("/a%20b") == "/a%20b"


@pytest.mark.parametrize("root", ["s3://bucket", "gs://bucket", "az://container"])
def test_object_stores_have_the_same_rules(root) -> None:
    assert storage.is_remote(f"{root}/x.png")
    assert storage.absolute(f"{root}/a/../prefix/") == f"{root}/prefix"
    assert storage.absolute(f"{root}/") == root
    assert storage.resolve("y/../x.png", f"{root}/sweep") == f"{root}/sweep/x.png"
    assert storage.resolve(f"{root}/x.png", "/data") == f"{root}/x.png"
    assert storage.normalize(f"{root}/x.png") == f"{root}/x.png"
    assert storage.join(f"{root}/scores", "_run", "lock.json") == f"{root}/scores/_run/lock.json"
    assert storage.parent(f"{root}/scores/a.parquet") == f"{root}/scores"
    for uri in (root.partition("://")[0] + "://", root.replace("://", ":///")):
        with pytest.raises(StorageError, match="names no bucket"):
            storage.absolute(uri)
    variable = {"s3": "AWS_SECRET_ACCESS_KEY", "gs": "GOOGLE_APPLICATION_CREDENTIALS"}.get(
        root.partition("://")[0], "AZURE_STORAGE_ACCOUNT_KEY"
    )
    with pytest.raises(StorageError, match=rf"{variable}\b.* never in a URI") as caught:
        storage.absolute(root.replace("://", "://KEY:topsecret@") + "/x")
    assert "secret" not in str(caught.value)
