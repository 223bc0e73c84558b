import pytest

from roi_ray.errors import NotAllowed
from roi_ray.io.allowlist import build_allowlist


@pytest.mark.parametrize(
    "uri",
    [
        "/data/sweep/a.png",
        "/data/sweep/deep/er/a.png",
        "file:///data/sweep/a.png",
        "/data/sweep/deep/../a.png",
        "/mnt/more/b.png",
        "s3://bucket/images/x.png",
    ],
)
def test_files_below_the_folders_are_allowed(uri) -> None:
    build_allowlist("/data/sweep", ["/mnt/more/", "s3://bucket/images"]).check(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "/data/sweep/../../etc/passwd",
        "/data/sweep/../sweeper/a.png",
        "/data/sweep-of-another/a.png",
        "/data",
        "s3://bucket/images/../secrets/key",
        "s3://bucket/images-of-another/x.png",
        "s3://another/images/x.png",
        "s3:///data/sweep/a.png",
    ],
)
def test_files_elsewhere_are_refused_with_the_option_that_allows_them(uri) -> None:
    with pytest.raises(NotAllowed, match=r"not below /data/sweep or s3://bucket/images; .*--allow"):
        build_allowlist("/data/sweep", ["s3://bucket/images"]).check(uri)


def test_whole_bucket_or_machine_can_be_allowed() -> None:
    build_allowlist("s3://bucket").check("s3://bucket/any/thing.png")
    build_allowlist("/").check("/etc/hostname")


def test_tilde_means_the_home_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for uri in ("file://~/secret.png", "~/secret.png"):
        with pytest.raises(NotAllowed):
            build_allowlist(str(tmp_path / "sweep")).check(uri)
        build_allowlist(str(tmp_path / "home")).check(uri)


def test_symbolic_links_out_of_a_folder_are_refused(tmp_path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.png").write_bytes(b"")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "outside")
    allowlist = build_allowlist(str(tmp_path / "tree"))
    with pytest.raises(NotAllowed):
        allowlist.check(str(tmp_path / "tree" / "link" / "x.png"))


def test_folder_named_by_a_symbolic_link_is_allowed(tmp_path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "tree")
    build_allowlist(str(tmp_path / "alias")).check(str(tmp_path / "tree" / "y.png"))


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://data/sweep/a.png",
        "gcs://bucket/images/x.png",
        "GS://bucket/images/x.png",
        "FILE:///data/sweep/a.png",
    ],
)
def test_schemes_that_cannot_be_opened_are_refused_without_naming_the_option(uri) -> None:
    with pytest.raises(
        NotAllowed, match="only local paths, file:///, s3://, gs:// and az:// can be opened"
    ) as caught:
        build_allowlist("/data/sweep", ["s3://bucket/images"]).check(uri)
    assert "--allow-prefix" not in str(caught.value)


@pytest.mark.parametrize("root", ["s3://bucket", "gs://bucket", "az://container"])
def test_prefix_of_an_object_store_allows_what_is_below_it_alone(root) -> None:
    allowlist = build_allowlist("/data/sweep", [f"{root}/images/"])
    allowlist.check(f"{root}/images/a/x.png")
    for outside in ("images2/x.png", "images/../secret.png", "x.png"):
        with pytest.raises(NotAllowed, match="to allow it, name its folder with --allow-prefix"):
            allowlist.check(f"{root}/{outside}")
    for other in ("s3", "gs", "az"):
        if not root.startswith(other):
            with pytest.raises(NotAllowed):
                allowlist.check(f"{other}://{root.partition('://')[2]}/images/a/x.png")
