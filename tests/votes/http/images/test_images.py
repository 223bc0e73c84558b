"""Images that cannot be shown, and those of other formats."""

import asyncio
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from roi_ray.errors import ImageError, ImageReadError, NotAllowed, SizeMismatch, WorkerDied
from roi_ray.io.allowlist import build_allowlist
from roi_ray.votes.http.images import images as images_module
from roi_ray.votes.http.images.images import RETRY_SECONDS, Images
from roi_ray.votes.http.images.pictures import Picture, Window, render_picture
from roi_ray.votes.http.worker_pool import WorkerPool
from roi_ray.votes.questions.table import Questions
from tests.conftest import encode, encode_16_bits, write
from tests.imaging import hostile
from tests.votes.http.rendering import DEADLY, die_of_deadly_file, fail_to_read
from tests.votes.http.studies import (
    ask,
    make_questions,
    make_site,
    make_vote,
    running,
    write_images,
)

MAX_PIXELS = 1 << 20


@pytest.fixture
def study_of_hostile_files(photos, tmp_path) -> Questions:
    """Questions of which all but the gold ones have a file that cannot be shown."""
    images = write_images(photos, tmp_path)
    other = encode(photos["rocket"][:50, :60])
    header = b"IHDR" + struct.pack(">IIBBBBB", 1 << 16, 1 << 16, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header))
    contents = [b"", encode(photos["coffee"])[:3000], bomb, other, DEADLY]
    for content, (reference, candidates) in zip(contents, list(images.items())[1:], strict=True):
        for candidate in (*candidates[1:], reference):
            write(Path(candidate), content)
        images[reference] = candidates
    return make_questions(images, tmp_path)


def test_hostile_files_exclude_their_questions_and_raters_go_on(
    study_of_hostile_files, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(images_module, "render_picture", die_of_deadly_file)
    (tmp_path / "study").mkdir()
    options = {"gold": 0.5, "repeats": 0, "max_pixels": MAX_PIXELS}
    site = make_site()
    with running(study_of_hostile_files, tmp_path / "study", site, **options) as server:
        with server.join() as rater:
            seen = 0
            while True:
                response = rater.post("/api/questions")
                if response.status_code == 503:  # many in a row cannot be shown
                    assert response.json()["error_kind"] == "NotReady"
                    continue
                assert response.status_code == 200, response.text
                if not (asks := response.json()["asks"]):
                    break
                for role in ("original", "1", "2"):
                    assert rater.get(asks[0]["images"][role]).status_code == 200
                assert rater.post("/api/votes", json=make_vote(asks[0]["id"])).status_code == 201
                seen += 1
            assert rater.get("/health").status_code == 200
        reasons = " ".join(server.study.problems.values())
    assert seen  # at least one of the three gold questions, which are asked by chance
    for reason in ("0 bytes", "truncated", "pixels", "60 x 50", "died, twice"):
        assert reason in reasons, reasons


@pytest.mark.long
def test_some_hostile_files_are_pictures_or_image_errors(photos, tmp_path) -> None:
    allowlist = build_allowlist(str(tmp_path))
    for number, (_, data) in enumerate(list(hostile.damaged(photos["coffee"][:64, :96]))[5::250]):
        path = write(tmp_path / f"{number}", data)
        try:
            picture = render_picture(path, Window(side=64, key="k"), MAX_PIXELS, allowlist)
        except ImageError:
            continue
        assert max(picture.shown_size) <= 64


def test_deep_and_wide_images_are_shown_in_8_bits(photos, tmp_path) -> None:
    x = photos["chelsea"][:40, :50]
    deep = write(tmp_path / "deep.png", encode_16_bits(x.astype(np.uint16) * 257))
    wide = np.tile(x[:2, :1], (1, 17_000, 1))
    allowlist = build_allowlist(str(tmp_path))
    for path, pixels, kind in (
        (deep, x, "image/webp"),
        (write(tmp_path / "wide.png", encode(wide)), wide, "image/png"),
    ):
        picture = render_picture(path, Window(), MAX_PIXELS, allowlist)
        assert picture.media_type == kind
        assert (np.asarray(Image.open(io.BytesIO(picture.data))) == pixels).all()


def test_files_outside_the_allowlist_are_not_opened(photos, tmp_path) -> None:
    outside = write(tmp_path / "outside.png", encode(photos["chelsea"][:40, :50]))
    (tmp_path / "inside").mkdir()
    os.symlink(outside, tmp_path / "inside/link.png")
    allowlist = build_allowlist(str(tmp_path / "inside"))
    for uri in (
        outside,
        str(tmp_path / "inside/link.png"),
        "http://169.254.169.254/",
        "/etc/passwd",
    ):
        with pytest.raises(NotAllowed):
            render_picture(uri, Window(), MAX_PIXELS, allowlist)


def test_pictures_are_made_once_and_the_oldest_are_dropped(photos, tmp_path) -> None:
    uris = [
        write(tmp_path / f"{n}.png", encode(photos["chelsea"][n : n + 40, :50])) for n in range(3)
    ]
    calls: list[str] = []
    allowlist = build_allowlist(str(tmp_path))

    class Counting:
        async def run(self, function, uri, *arguments) -> Picture:
            calls.append(uri)
            await asyncio.sleep(0)
            return function(uri, *arguments)

    async def work() -> None:
        size = len(render_picture(uris[0], Window(), MAX_PIXELS, allowlist).data)
        images = Images(Counting(), allowlist, MAX_PIXELS, cache_bytes=size * 5 // 2)
        await asyncio.gather(*(images.make(uris[0], Window()) for _ in range(5)))
        assert calls == uris[:1]
        for uri in uris:
            await images.make(uri, Window())
        assert calls == uris
        await images.make(uris[2], Window(side=512, key="x"))  # not larger: the same picture
        assert calls == uris
        await images.make(uris[0], Window())
        assert calls == [*uris, uris[0]]

    asyncio.run(work())


def test_image_whose_process_died_is_tried_again_after_minutes(photos, tmp_path) -> None:
    path = write(tmp_path / "x.png", encode(photos["chelsea"][:40, :50]))
    allowlist, now = build_allowlist(str(tmp_path)), [0.0]
    errors: list[Exception] = [WorkerDied("twice"), ImageReadError("damaged")]

    class Dying:
        async def run(self, function, *arguments) -> Picture:
            if errors:
                raise errors.pop(0)
            return function(*arguments)

    async def work() -> None:
        images = Images(Dying(), allowlist, MAX_PIXELS, clock=lambda: now[0])
        for _ in range(2):
            with pytest.raises(WorkerDied, match="twice"):
                await images.make(path, Window())
        now[0] = RETRY_SECONDS
        for _ in range(2):  # that one is remembered
            with pytest.raises(ImageReadError, match="damaged"):
                await images.make(path, Window())
            now[0] += RETRY_SECONDS
        assert (await images.make(path, Window(crop=(0, 0, 8, 8)))).shown_size == (8, 8)

    asyncio.run(work())


def test_sizes_must_agree(photos, tmp_path) -> None:
    x = photos["chelsea"]
    uris = [write(tmp_path / f"{n}.png", encode(x[: 40 + n, :50])) for n in range(2)]
    pool = WorkerPool(1, 60)
    images = Images(pool, build_allowlist(str(tmp_path)), MAX_PIXELS)
    with pytest.raises(SizeMismatch, match="50 x 41, but its reference is 50 x 40"):
        asyncio.run(images.prepare(uris, Window()))
    pool.close()


def test_storage_that_fails_excludes_nothing(questions, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(images_module, "render_picture", fail_to_read)
    with running(questions, tmp_path, make_site()) as server, server.join() as rater:
        response = rater.post("/api/questions")
        assert response.status_code == 503
        assert response.json()["error_kind"] == "StorageUnavailable"
        assert "secret" not in response.text
        assert server.study.problems == {}


def test_image_that_vanishes_later_is_not_found(photos, tmp_path) -> None:
    (tmp_path / "study").mkdir()
    images = write_images(photos, tmp_path)
    questions = make_questions(images, tmp_path)
    site = make_site()
    with (
        running(questions, tmp_path / "study", site, gold=0, repeats=0) as server,
        server.join() as rater,
    ):
        asks, cookies = ask(rater), dict(rater.cookies)
    for path in (path for candidates in images.values() for path in candidates):
        os.remove(path)
    with (
        running(questions, tmp_path / "study", site, gold=0, repeats=0) as server,
        server.client(cookies=cookies) as rater,
    ):
        response = rater.get(asks[0]["images"]["1"])
        assert response.status_code == 404 and str(tmp_path) not in response.text
        # The vote may have been on its way.
        assert rater.post("/api/votes", json=make_vote(asks[0]["id"])).status_code == 201
