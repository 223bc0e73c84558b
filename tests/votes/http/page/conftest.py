"""A study in a process of its own, and raters in a real browser."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser import BROWSER_ARGUMENTS, CHROMIUM, browser
from tests.votes.http.page.rater import Rater
from tests.votes.http.page.study_process import StudyProcess

__all__ = ["browser"]  # a fixture

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 3,
    "is_mobile": True,
    "has_touch": True,
}


@pytest.fixture(scope="session")
def study(photos, tmp_path_factory) -> Iterator[StudyProcess]:
    """A study of six photographs, with two questions to practise and 20 others per rater."""
    pytest.importorskip("uvicorn")
    process = StudyProcess(photos, tmp_path_factory.mktemp("study"))
    yield process
    process.kill()


@pytest.fixture
def launch_screen(browser) -> Iterator[Callable[[int, int, float], Any]]:
    """A function that starts a browser on a screen of so many device pixels per CSS pixel.

    Pages of the other browser can only imitate that: they are drawn by CSS pixels and enlarged.
    """
    started = []

    def launch(width: int, height: int, ratio: float) -> Any:
        screen = [f"--force-device-scale-factor={ratio}", f"--window-size={width},{height}"]
        arguments = [*BROWSER_ARGUMENTS, *screen]
        started.append(browser.browser_type.launch(executable_path=CHROMIUM, args=arguments))
        return started[-1]

    yield launch
    for one in started:
        one.close()


@pytest.fixture
def open_rater(browser, launch_screen, study) -> Iterator[Callable[..., Rater]]:
    """A function that opens the study for a new rater, at the invitation.

    The test fails if a page writes to the console, raises an error, asks another host for anything,
    or moves anything; a test that cuts the connection clears the rater's `complaints`. `other` is
    another browser than the module's.
    """
    raters: list[Rater] = []

    def open_rater(other: Any = None, **options: object) -> Rater:
        screen = {} if other else DESKTOP
        raters.append(Rater(other or browser, study.link, **screen | options))
        return raters[-1]

    yield open_rater
    complaints = [text for rater in raters for text in rater.complaints]
    shifts = [
        shift
        for rater in raters
        for page in rater.context.pages
        for shift in page.evaluate("window.shifts")
    ]
    for rater in raters:
        for page in rater.context.pages:  # the test is over, a request of the page may not be
            page.unroute_all(behavior="ignoreErrors")
        rater.context.close()
    assert not complaints
    assert not shifts
