"""A real browser for tests: Debian's chromium, driven by Playwright."""

import shutil
from collections.abc import Iterator

import pytest

# Each page would start a process ahead for the next one.
BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-features=SpareRendererForSitePerProcess"]
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
        started = driver.chromium.launch(executable_path=CHROMIUM, args=BROWSER_ARGUMENTS)
        yield started
        started.close()
