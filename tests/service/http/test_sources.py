"""Which files a request may name, and what happens if it names others."""

import asyncio
import os
from dataclasses import replace

import pytest

from roi_ray.schema import Failure
from roi_ray.service.backend import ImageFile
from roi_ray.service.http.sources import SourceReader
from roi_ray.service.worker.reference_store import ReferenceStore
from roi_ray.web.error_answers import RequestFailed
from tests.conftest import write
from tests.service.files import make_file


class References:
    """A backend that only keeps references."""

    def __init__(self) -> None:
        self._store = ReferenceStore(1000)

    async def put_reference(self, reference: ImageFile) -> bool:
        return self._store.put(reference)

    async def get_reference(self, sha256: str) -> ImageFile | None:
        return self._store.get(sha256)

    async def reference_size(self, sha256: str) -> int | None:
        return self._store.size(sha256)


@pytest.fixture
def folder(tmp_path) -> str:
    write(tmp_path / "allowed/x.png", b"an image")
    write(tmp_path / "allowed/below/ü b.png", b"another")
    write(tmp_path / "secret/key.png", b"secret")
    write(tmp_path / "allowed2/x.png", b"beside")
    os.symlink(tmp_path / "secret", tmp_path / "allowed/link")
    os.symlink(tmp_path / "secret/key.png", tmp_path / "allowed/link.png")
    os.symlink(tmp_path / "allowed/x.png", tmp_path / "allowed/inside.png")
    os.mkfifo(tmp_path / "allowed/pipe")
    return str(tmp_path)


def read(folder: str, source: str, max_bytes: int = 100) -> ImageFile | Failure:
    counted: list[int] = []

    async def count(size: int) -> None:
        counted.append(size)

    reader = SourceReader(References(), [f"{folder}/allowed"], max_bytes)
    result = asyncio.run(reader.read(source, count))
    if isinstance(result, ImageFile):
        assert counted == [len(result.data)]
    return result


@pytest.mark.parametrize(
    ("uri", "data"),
    [
        ("{}/allowed/x.png", b"an image"),
        ("file://{}/allowed/x.png", b"an image"),
        ("{}/allowed/below/../x.png", b"an image"),
        ("{}/allowed/inside.png", b"an image"),
        ("{}/allowed/below/ü b.png", b"another"),
        ("file://{}/allowed/below/%C3%BC%20b.png", b"another"),
    ],
)
def test_allowed_file_is_read(folder, uri, data) -> None:
    uri = uri.format(folder)
    assert read(folder, uri) == make_file(data, uri)


@pytest.mark.parametrize(
    "uri",
    [
        "{}/secret/key.png",
        "{}/allowed2/x.png",
        "{}/allowed/../secret/key.png",
        "{}/allowed/link/key.png",
        "{}/allowed/link.png",
        "file://{}/allowed/../secret/key.png",
        "file://{}/allowed/%2e%2e/secret/key.png",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "https://example.org/x.png",
        "ftp://x/y.png",
        "S3://bucket/x.png",
        "s3://bucket/x.png",
        "gs://bucket/x.png",
        "x.png",
        "allowed/x.png",
        "../secret/key.png",
        "~/x.png",
        "~root/x.png",
        "hello",
        "sha256:" + "0" * 64,
    ],
)
def test_everything_else_is_not_allowed(folder, uri) -> None:
    uri = uri.format(folder)
    failure = read(folder, uri)
    assert isinstance(failure, Failure)
    assert failure.kind == "NotAllowed"
    assert failure.text.startswith(f"{uri}: ")
    assert "secret/key" not in failure.text.removeprefix(uri)


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("", "NotAllowed"),
        ("{}/allowed/nothing.png", "ImageReadError"),
        ("{}/allowed/X.png", "ImageReadError"),
        ("{}/allowed", "ImageReadError"),
        ("{}/allowed/pipe", "ImageReadError"),
        ("{}/allowed/\0.png", "ImageReadError"),
        ("file://{}/allowed/%00.png", "ImageReadError"),
        ("s3://bucket/%00.png", "NotAllowed"),
        ("{}/allowed/" + "x" * 4000, "ImageReadError"),
        ("s3://", "NotAllowed"),
        ("s3://key:password@bucket/x.png", "NotAllowed"),
    ],
)
def test_file_that_cannot_be_read_is_a_failure(folder, uri, kind) -> None:
    failure = read(folder, uri.format(folder))
    assert isinstance(failure, Failure) and failure.kind == kind, failure


def test_file_that_is_too_large_is_not_read(folder) -> None:
    failure = read(folder, f"{folder}/allowed/x.png", max_bytes=7)
    assert failure.kind == "ImageTooLarge"
    assert "8 bytes" in failure.text


def test_service_without_prefixes_reads_nothing(folder) -> None:
    reader = SourceReader(References(), [], 100)
    failure = asyncio.run(reader.read(f"{folder}/allowed/x.png", None))
    assert failure.kind == "NotAllowed" and "--allow-prefix" in failure.text


def test_file_that_grows_after_its_bytes_were_counted_is_a_failure(folder) -> None:
    path = f"{folder}/allowed/x.png"

    async def grow(size: int) -> None:
        with open(path, "ab") as file:
            file.write(bytes(1000))

    reader = SourceReader(References(), [f"{folder}/allowed"], 2000)
    failure = asyncio.run(reader.read(path, grow))
    assert failure.kind == "ImageReadError" and "while it was read" in failure.text


def test_reference_is_found_by_its_hash() -> None:
    counted: list[int] = []

    async def count(size: int) -> None:
        counted.append(size)

    async def run() -> None:
        references = References()
        reader = SourceReader(references, [], 100)
        file = make_file(b"x")
        with pytest.raises(RequestFailed, match="not kept here") as caught:
            await reader.read_required("reference", f"sha256:{file.sha256}", count)
        assert caught.value.answer.code == 404
        await references.put_reference(file)
        kept = replace(file, name=f"sha256:{file.sha256}")
        for name in (file.sha256, file.sha256.upper()):
            assert await reader.read_required("reference", f"sha256:{name}", count) == kept
        assert counted == [1, 1]
        with pytest.raises(RequestFailed, match="mask sha256:.*") as caught:
            await reader.read_required("mask", f"sha256:{file.sha256}", None)
        assert caught.value.answer.code == 403

    asyncio.run(run())


@pytest.mark.parametrize("text", ["", "x", "0" * 63, "0" * 65, "g" * 64, "\n" + "0" * 64])
def test_text_that_is_no_hash_is_an_invalid_request(text) -> None:
    reader = SourceReader(References(), [], 100)
    with pytest.raises(RequestFailed, match="not a SHA-256"):
        asyncio.run(reader.read_required("reference", f"sha256:{text}", None))
