"""Pages in a real browser: Debian's chromium, driven by Playwright."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A browser for all tests of a module.

    Not one for the session: while Playwright runs, its event loop occupies the thread, and tests
    of other modules could not start one.
    """
    if CHROMIUM is None:
        pytest.skip("needs chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


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
        context.set_default_timeout(15_000)
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
        context.close()
    assert not complaints
