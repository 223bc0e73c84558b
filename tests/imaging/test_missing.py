"""Names of missing images: the message says what was tried, and which file there is instead."""

import os
import time
import unicodedata

import pytest

from roi_ray.errors import ImageError, ImageReadError, NotAllowed
from roi_ray.imaging.load import load_image, read_image_file
from roi_ray.imaging.missing import explain_missing_image, explain_not_allowed
from roi_ray.io import nearby, storage
from roi_ray.io.allowlist import Allowlist, build_allowlist
from roi_ray.pipeline.decode_stage import resolve_allowed

NFC, NFD = (unicodedata.normalize(form, "\u00e9") for form in ("NFC", "NFD"))
FILES = (
    "sub/w.jpg",
    "sub/a b.jpg",
    "sub/p.avif",
    "sub/p.webp",
    "Img/Deep/A.JPG",
    "100%25/x.jpg",
    f"nfd/{NFD}.jpg",
    f"nfc/{NFC}.jpg",
    f"{NFD}/x/y.jpg",
)


@pytest.fixture(autouse=True)
def forget_names() -> None:
    nearby.names_by_look.cache_clear()


@pytest.fixture
def base(tmp_path) -> str:
    for name in FILES:
        (tmp_path / "sweep" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sweep" / name).write_text(name)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.png").write_text("")
    return str(tmp_path / "sweep")


def error_of(written: str, base: str) -> str:
    allowlist = build_allowlist(base)
    with pytest.raises(ImageError) as caught:
        read_image_file(resolve_allowed(written, base, allowlist), written, base, allowlist)
    return str(caught.value)


FORM = "its name is in another normal form of Unicode"


@pytest.mark.parametrize(
    ("written", "exists", "advice"),
    [
        ("sub\\w.jpg", "sub/w.jpg", "write / between folders, not \\"),
        ("sub/w.jpg ", "sub/w.jpg", "remove the white space around it"),
        ("sub/w.jpg\r", "sub/w.jpg", "remove the white space around it"),
        ("\ufeffsub/w.jpg", "sub/w.jpg", "remove the white space around it"),
        ('"sub/w.jpg"', "sub/w.jpg", "remove the quotes around it"),
        ('"BASE/sub/w.jpg"', "sub/w.jpg", "remove the quotes around it"),
        (
            '" sub\\w.jpg"',
            "sub/w.jpg",
            "remove the quotes around it, remove the white space around it, "
            "write / between folders, not \\",
        ),
        ("sub/a%20b.jpg", "sub/a b.jpg", "%20 and the like stand for characters in file:// URIs"),
        ("file://BASE/100%25/x.jpg", "100%25/x.jpg", "%20 and the like stand for characters"),
        ("file:BASE/sub/w.jpg", "sub/w.jpg", "write file:/// with three slashes"),
        ("sweep/sub/w.jpg", "sub/w.jpg", "URIs are relative to BASE"),
        ("sub/W.jpg", "sub/w.jpg", "upper and lower case differ"),
        ("img/Deep/a.jpg", "Img/Deep/A.JPG", "upper and lower case differ"),
        (f"nfd/{NFC}.jpg", f"nfd/{NFD}.jpg", f"{FORM}, NFD"),
        (f"nfc/{NFD}.jpg", f"nfc/{NFC}.jpg", f"{FORM}, NFC"),
        (f"{NFC}/x/y.jpg", f"{NFD}/x/y.jpg", f"{FORM}, NFD"),
        (f"{NFC}/X/y.jpg", f"{NFD}/x/y.jpg", f"{FORM}, NFD, upper and lower case differ"),
        (f"{NFC}\\x\\y.jpg", f"{NFD}/x/y.jpg", f"not \\, {FORM}, NFD"),
    ],
)
def test_message_names_the_file_that_exists(base, written, exists, advice) -> None:
    written, advice = (text.replace("BASE", base) for text in (written, advice))
    error = error_of(written, base)
    assert ": No such file or directory; " in error
    assert f"{base}/{exists} exists: " in error
    assert advice in error


@pytest.mark.parametrize(
    ("written", "end"),
    [
        ("sub/zzz.jpg", "zzz.jpg: No such file or directory"),
        ("sub/p.jpg", "; its folder has p.avif, p.webp"),
        ("nope/deep/x.jpg", "; there is no folder BASE/nope"),
        ("sub\\zzz.jpg", "; nor is there BASE/sub/zzz.jpg"),
        ("~/x.jpg", "; write the home folder's path, not ~"),
        ("C:\\data\\x.jpg", "; it is a path of Windows: write the path on this machine"),
        ("\\\\server\\x.jpg", "; it is a path of Windows: write the path on this machine"),
        ("sub", "BASE/sub: it is a folder"),
    ],
)
def test_message_says_what_was_tried_where_nothing_is_like_it(base, written, end) -> None:
    assert error_of(written, base).endswith(end.replace("BASE", base))


def test_no_other_file_is_opened(base) -> None:
    """Two files may differ only in the form of their names, or in a backslash."""
    (here := f"{base}/nfd/{NFC}.jpg"), (there := f"{base}/sub\\w.jpg")
    for path in (here, there):
        with open(path, "w") as file:
            file.write("another")
        assert read_image_file(path) == b"another"
    assert read_image_file(f"{base}/nfd/{NFD}.jpg") == f"nfd/{NFD}.jpg".encode()
    assert read_image_file(f"{base}/sub/w.jpg") == b"sub/w.jpg"


@pytest.mark.parametrize(
    "written",
    [
        "sub\\..\\..\\secret\\key.png",
        "LINK/key.png",
        "LINK/KEY.png",
        "Link\\KEY.png",
        '"SECRET/key.png"',
        "file:SECRET/key.png",
        "SECRET/key.pn%67",
    ],
)
def test_nothing_outside_the_allowed_folders_is_revealed(base, tmp_path, written) -> None:
    os.symlink(tmp_path / "secret", f"{base}/Link")
    error = error_of(written.replace("SECRET", str(tmp_path / "secret")), base)
    hint = error.partition("; ")[2]
    assert "exists" not in hint and "has" not in hint and "no folder" not in hint


def test_link_to_a_missing_file_is_named(base) -> None:
    os.symlink("gone.png", f"{base}/link.png")
    assert error_of("link.png", base).endswith(
        "; it is a symbolic link to a file that does not exist"
    )


def test_refused_uri_that_would_be_allowed_in_another_spelling(tmp_path) -> None:
    base = f"{tmp_path}/{NFD}"
    allowlist = Allowlist((base,))
    with pytest.raises(NotAllowed, match=rf"--allow-prefix; {FORM}, NFD$"):
        resolve_allowed(f"{tmp_path}/{NFC}/x.png", base, allowlist)
    with pytest.raises(NotAllowed, match=r"--allow-prefix; write / between folders, not \\$"):
        resolve_allowed(f"{base}\\x.png", base, allowlist)
    os.symlink("/etc", f"{tmp_path}/etc")
    with pytest.raises(NotAllowed, match=r"; a symbolic link in its path leads out$"):
        resolve_allowed("etc/passwd", str(tmp_path), Allowlist((str(tmp_path),)))
    assert explain_not_allowed("/etc/passwd", allowlist) == ""


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_bucket_that_is_not_allowed_is_never_asked_for(monkeypatch, scheme) -> None:
    asked: list[str] = []
    for client in ("_s3_client", "_fsspec_client"):
        monkeypatch.setattr(storage, client, asked.append)
    for prefix in ("/data", "s3://mine/images"):
        with pytest.raises(NotAllowed, match=r"--allow-prefix$"):
            resolve_allowed(f"{scheme}://bucket/x.png", "/data", Allowlist((prefix,)))
    assert not asked


def test_load_image_explains_too(base, monkeypatch) -> None:
    monkeypatch.chdir(base)
    with pytest.raises(ImageReadError, match=r"sub/w\.jpg exists: write / between folders"):
        load_image("sub\\w.jpg")
    with pytest.raises(ImageReadError, match=r"^cannot read gone.png: No such file or directory$"):
        load_image("gone.png")


def test_names_of_a_folder_are_read_once_and_in_part(base, monkeypatch) -> None:
    for number in range(300):
        open(f"{base}/sub/{number}.png", "w").close()
    listed = []
    real = os.scandir
    monkeypatch.setattr("os.scandir", lambda path: listed.append(path) or real(path))
    monkeypatch.setattr(nearby.list_some, "__defaults__", (100, ""))
    allowlist, began = build_allowlist(base), time.thread_time()
    for number in range(2000):
        assert explain_missing_image(f"sub/{number}.gone/x.png", base, allowlist)
        assert not explain_missing_image(f"sub/zz{number}.jpg", base, allowlist)
    assert listed == [f"{base}/sub"]
    assert time.thread_time() - began < 20
