"""Pages in a real browser: Debian's chromium, driven by Playwright."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from tests.browser import browser
from tests.conftest import encode, write, write_sweep

__all__ = ["browser"]  # a fixture


@pytest.fixture
def open_page(browser, tmp_path) -> Iterator[Callable[..., object]]:
    """A function that opens an HTML document from disk and returns Playwright's page.

    The test fails if a page writes to the console, raises an error, or asks for anything but
    itself.
    """
    complaints: list[str] = []
    contexts = []

    def open_document(document: bytes, width: int = 1280, **options: object) -> object:
        path: Path = tmp_path / f"page{len(contexts)}.html"
        path.write_bytes(document)
        viewport = {"width": width, "height": 900}
        context = browser.new_context(viewport=viewport, accept_downloads=True, **options)
        context.set_default_timeout(60_000)  # on a busy machine
        contexts.append(context)

        def check_request(route) -> None:
            url = route.request.url
            if url == path.as_uri() or url.startswith(("data:", "blob:")):
                route.continue_()
            else:
                complaints.append(f"request of {url}")
                route.abort()

        context.route("**/*", check_request)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.goto(path.as_uri())
        return page

    yield open_document
    for context in contexts:
        context.unroute_all(behavior="ignoreErrors")
        context.close()
    assert not complaints


GALLERY_QUALITIES = {"jpeg": [10, 40, 90], "webp": [5, 50, 90]}
HOSTILE_NAME = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def gallery_sweep(photos, tmp_path_factory) -> Path:
    """Folder of a scored sweep of three crops of photographs, one of which has a hostile name.

    One has a mask of its own.
    """
    folder: Path = tmp_path_factory.mktemp("gallery")
    names = {"chelsea": "chelsea", "coffee": HOSTILE_NAME, "astronaut": "astronaut"}
    crops = {new: photos[name][40:200, 60:300] for name, new in names.items()}
    manifest = write_sweep(crops, folder, GALLERY_QUALITIES)
    mask = np.zeros((160, 240), np.uint8)
    mask[20:90, 30:200] = 255
    write(folder / "masks/astronaut.png", encode(mask))
    table = pq.read_table(manifest)
    masks = [
        "masks/astronaut.png" if "astronaut" in reference else None
        for reference in table["reference"].to_pylist()
    ]
    pq.write_table(table.append_column("mask", pa.array(masks, pa.string())), manifest)
    # `auto` would start processes on a Ray that other tests share.
    score_manifest(manifest, str(folder / "scores"), options=Options(engine="local"))
    return folder
