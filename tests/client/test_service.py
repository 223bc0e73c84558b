"""The clients against the service itself: the numbers are those of `score` and `prefer`."""

import doctest
import hashlib
import io
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import anyio
import numpy as np
import pytest
from PIL import Image

import roi_ray
from roi_ray.client import AsyncClient, Client, async_client, sync_client
from roi_ray.errors import (
    ImageReadError,
    NotAllowed,
    ServiceError,
    ServiceUnavailable,
    SizeMismatch,
    UnusableMask,
)
from roi_ray.schema import Scores
from roi_ray.scoring.version import SCORING_VERSION
from roi_ray.service.http.api import build_api
from roi_ray.service.local_backend import LocalBackend
from roi_ray.service.options import Limits, ServiceOptions
from tests.client.recording_app import Recorded, RecordingApp
from tests.conftest import deepen, encode, write
from tests.ports import free_ports
from tests.web.asgi_server import serving


@contextmanager
def serve(port: int = 0, **options) -> Iterator[tuple[str, RecordingApp]]:
    """Run a service of its own; yield its URL, and what it is sent."""
    options = ServiceOptions(device="cpu", **options)
    with ExitStack() as stack:
        backend = LocalBackend(options)
        stack.callback(backend.close)
        app = RecordingApp(build_api(backend, options))
        yield stack.enter_context(serving(app, port)), app


@pytest.fixture(scope="module")
def service():
    with serve() as (url, app):
        yield url, app


@pytest.fixture
def url(service) -> str:
    url, app = service
    app.requests.clear()
    return url


@pytest.fixture
def requests(service) -> list[Recorded]:
    return service[1].requests


@pytest.fixture
def photo(photos):
    return photos["chelsea"][60:156, 100:228]


def jpeg(pixels, quality):
    return encode(pixels, "JPEG", quality=quality)


def score_here(*sources, **options) -> Scores:
    return roi_ray.score(*sources, device="cpu", **options)


def test_scores_are_those_of_score_bit_for_bit(connect, url, photo, tmp_path):
    deep, mask = deepen(photo, 10), np.zeros(photo.shape[:2], bool)
    mask[20:60, 30:90] = True
    path = write(tmp_path / "decoded.jpg", jpeg(photo, 30))
    images = [path, jpeg(photo, 60), photo // 2 + 64, deep, Image.fromarray(photo // 8 * 8)]
    with connect(url) as client:
        for reference, region in ((encode(photo), None), (photo, mask), (deep, encode(mask))):
            results = client.score(reference, images, mask=region)
            for result, image in zip(results, images, strict=True):
                assert result.scores == score_here(reference, image, mask=region)
                assert (result.error_kind, result.error) == (None, None)


def test_result_names_its_image_and_what_made_its_numbers(connect, url, photo, tmp_path):
    path = write(tmp_path / "jpeg/decoded.jpg", jpeg(photo, 30))
    with connect(url) as client:
        result = client.score(encode(photo), path)
        second = client.score(encode(photo), [path, jpeg(photo, 40)])[1]
        about = client.about()
    assert (result.image, second.image) == (path, "image 2")
    assert result.sha256 == hashlib.sha256(jpeg(photo, 30)).hexdigest()
    made_by = result.provenance
    assert (made_by.roi_ray, made_by.scoring_version) == (roi_ray.__version__, SCORING_VERSION)
    assert made_by.reference_sha256 == hashlib.sha256(encode(photo)).hexdigest()
    assert (about["settings"], about["weights"]) == (made_by.settings, made_by.weights)
    assert repr(result).startswith(f"ImageResult('{path}', Scores(128 x 96, mse=")


def test_preference_is_that_of_prefer_bit_for_bit(connect, url, photo):
    a, b = jpeg(photo, 15), jpeg(photo, 70)
    with connect(url) as client:
        preference = client.compare(photo, a, b)
    assert preference == roi_ray.prefer(photo, a, b, device="cpu")


def test_mask_is_a_png_that_gives_the_same_region(connect, url, photo):
    with connect(url) as client:
        mask = client.mask(encode(photo))
        assert Image.open(io.BytesIO(mask.png)).size == (128, 96)
        assert np.asarray(Image.open(io.BytesIO(mask.png))).mean() / 255 == pytest.approx(
            mask.roi_fraction, abs=1e-3
        )
        scores = client.score(encode(photo), jpeg(photo, 30), mask=mask.png).get_scores()
    assert mask.roi_fraction == score_here(photo, jpeg(photo, 30)).roi_fraction
    assert scores.roi_fraction == pytest.approx(mask.roi_fraction, abs=1e-3)


def test_images_that_cannot_be_scored_are_results_with_errors(connect, url, photo, tmp_path):
    missing, small = str(tmp_path / "missing.jpg"), photo[:50]
    images = [missing, jpeg(photo, 30), b"no image", small, "s3://bucket/x.png", jpeg(photo, 50)]
    with connect(url) as client:
        results = client.score(photo, images)
        alone = client.score(photo, missing)
    kinds = ["ImageReadError", None, "ImageReadError", "SizeMismatch", "NotAllowed", None]
    assert [result.error_kind for result in results] == kinds
    assert [result.scores is None for result in results] == [kind is not None for kind in kinds]
    assert results[1].scores == score_here(photo, jpeg(photo, 30))
    assert results[5].scores == score_here(photo, jpeg(photo, 50))
    assert results[4].image == "s3://bucket/x.png" and results[4].sha256 is None
    assert alone == results[0] and missing in alone.error
    for result, error in ((alone, ImageReadError), (results[3], SizeMismatch)):
        with pytest.raises(error) as caught:
            result.get_scores()
        assert str(caught.value) == result.error


def test_errors_of_other_images_are_raised_as_score_raises_them(connect, url, photo):
    image = jpeg(photo, 30)
    with connect(url) as client:
        with pytest.raises(ImageReadError, match="^reference bytes: not an image"):
            client.score(b"no image", image)
        with pytest.raises(ImageReadError, match="^reference"):
            client.mask(b"no image")
        with pytest.raises(SizeMismatch, match="^mask ndarray: 128 x 50, but"):
            client.score(photo, image, mask=photo[:50, :, 0])
        with pytest.raises(UnusableMask, match="^mask"):
            client.score(photo, image, mask=encode(photo[:, :, 0] // 255 + 1))
        with pytest.raises(NotAllowed, match="^reference"):
            client.score("file:///etc/passwd", image)
        with pytest.raises(ImageReadError, match="^image b: bytes: not an image"):
            client.compare(photo, image, b"no image")
        with pytest.raises(SizeMismatch, match="^image a: "):
            client.compare(photo, image[:0] + jpeg(photo[:50], 30), image)


def test_uris_are_read_by_the_service(connect, photo, tmp_path):
    paths = [write(tmp_path / f"{q}.jpg", jpeg(photo, q)) for q in (20, 50)]
    original = write(tmp_path / "original.png", encode(photo))
    with serve(allow_prefixes=(str(tmp_path),)) as (url, app), connect(url) as client:
        first, second = client.score(f"file://{original}", [f"file://{paths[0]}", paths[1]])
        assert client.mask(f"file://{original}").roi_fraction == first.scores.roi_fraction
    assert (first.image, second.image) == (f"file://{paths[0]}", paths[1])
    assert first.scores == score_here(original, paths[0])
    assert second.scores == score_here(original, paths[1])
    assert app.requests[0].size < len(jpeg(photo, 50)) + 1000


def test_reference_is_sent_once(connect, url, requests, photo):
    reference, image = encode(photo[:, ::-1]), jpeg(photo[:, ::-1], 30)
    with connect(url) as client:
        results = [client.score(reference, image) for _ in range(3)]
        client.compare(reference, image, image)
        client.mask(reference)
        assert client.upload(reference) == f"sha256:{hashlib.sha256(reference).hexdigest()}"
    assert len({result.scores.psnr for result in results}) == 1
    sizes = [request.size for request in requests]
    assert len(reference) + len(image) < sizes[0] < len(reference) + len(image) + 1000
    assert all(len(image) < size < len(image) + 1000 for size in sizes[1:3])
    assert sizes[3] < 2 * len(image) + 1000 and sizes[4:] == [0, 0]


def test_uploaded_reference_is_known_to_all_clients(connect, photo):
    reference, image = encode(photo), jpeg(photo, 30)
    with serve() as (url, app), connect(url) as client, connect(url) as other:
        name = other.upload(reference)
        assert other.upload(reference) == name
        assert client.score(name, image).scores == score_here(reference, image)
        client.mask(name)
        with pytest.raises(ServiceError) as caught:
            client.score("sha256:" + 64 * "0", image)
        with pytest.raises(ServiceError, match="not a SHA-256"):
            client.score("sha256:typo", image)
    assert (caught.value.status, caught.value.kind) == (404, "UnknownReference")
    references = [each.method for each in app.requests if each.path.startswith("/v1/ref")]
    assert references == ["HEAD", "PUT", "HEAD"]


def test_many_images_are_sent_in_several_requests(connect, url, requests, photo):
    images = [jpeg(photo, quality) for quality in range(20, 56)]
    with connect(url) as client:
        results = client.score(photo, images)
        assert client.score(photo, []) == []
    assert [result.image for result in results] == [f"image {n}" for n in range(1, 37)]
    for number in (0, 15, 16, 35):
        assert results[number].scores == score_here(photo, images[number])
    assert [request.path for request in requests] == ["/v1/score"] * 3


def test_threads_share_a_client(url, photo):
    images = [jpeg(photo, quality) for quality in range(20, 36)]
    with Client(url) as client, ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda image: client.score(photo, image), images))
    assert [r.scores for r in results] == [score_here(photo, image) for image in images]


def test_tasks_share_a_client(url, photo):
    images = [jpeg(photo, quality) for quality in range(20, 36)]
    results = {}

    async def main():
        async with AsyncClient(url) as client, anyio.create_task_group() as group:

            async def score(number):
                results[number] = await client.score(photo, images[number])

            for number in range(16):
                group.start_soon(score, number)

    anyio.run(main)
    expected = [score_here(photo, image) for image in images]
    assert [results[number].scores for number in range(16)] == expected


class _Retries(logging.Handler):
    """Notices when a client is about to try again."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.set()


@pytest.fixture
def retries() -> Iterator[_Retries]:
    retries, logger = _Retries(), logging.getLogger("roi_ray.client")
    logger.addHandler(retries)
    yield retries
    logger.removeHandler(retries)


@pytest.mark.usefixtures("short_pauses")
def test_call_survives_a_restart_that_forgets_its_reference(connect, photo, retries):
    reference, image = encode(photo), jpeg(photo, 30)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with connect(url, retries=30) as client, ThreadPoolExecutor(1) as threads:
        with serve(port):
            first = client.score(reference, image)
        second = threads.submit(client.score, reference, image)
        assert retries.seen.wait(30)
        with serve(port) as (_, app):
            assert second.result(60) == first
    assert [request.path for request in app.requests] == ["/v1/score", "/v1/score"]
    assert app.requests[0].size < len(reference) < app.requests[1].size


def test_limits_of_the_service_are_clear_errors(connect, photo):
    limits = Limits(max_body_bytes=50_000, max_pixels=10_000)
    with serve(limits=limits) as (url, app), connect(url) as client:
        with pytest.raises(ServiceError, match="50,000") as caught:
            client.score(photo, bytes(20_000_000))
        assert (caught.value.status, caught.value.kind) == (413, "BodyTooLarge")
        assert 1 <= len(app.requests) <= 2
        with pytest.raises(roi_ray.ImageTooLarge, match="^reference"):
            client.score(jpeg(photo, 30), jpeg(photo, 30))


def test_key_opens_a_service_that_asks_for_one(connect, photo):
    keys = (hashlib.sha256(b"open-sesame").hexdigest(),)
    with serve(api_keys=keys) as (url, _):
        with connect(url, api_key="open-sesame") as client:
            assert client.score(photo, jpeg(photo, 30)).scores
        with connect(url, api_key="wrong") as client:
            assert client.is_ready()
            large = bytes(20_000_000)
            for call in (client.about, lambda: client.upload(photo), lambda: client.mask(large)):
                with pytest.raises(ServiceError, match="send a key") as caught:
                    call()
                assert (caught.value.status, caught.value.kind) == (401, "Unauthorised")


def test_closing_service_is_unavailable(connect, url, service, photo):
    with serve() as (url, app), connect(url, retries=0) as client:
        client.wait_until_ready(60)
        app.app.close()
        assert client.is_ready() is False
        with pytest.raises(ServiceUnavailable, match="ServiceClosing: .*; tried once") as caught:
            client.score(photo, jpeg(photo, 30))
        assert caught.value.status == 503


@pytest.mark.parametrize("module", [sync_client, async_client])
def test_examples_run(module, url, photo, tmp_path, monkeypatch):
    write(tmp_path / "original.png", encode(photo))
    write(tmp_path / "decoded.jpg", jpeg(photo, 15))
    write(tmp_path / "decoded.webp", encode(photo, "WEBP", quality=90))
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        for example in test.examples:
            example.source = example.source.replace("http://127.0.0.1:8000", url)
        runner.run(test)
    assert runner.tries and not runner.failures
