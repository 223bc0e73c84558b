"""Pages besides the voting page, in a real browser: forms work, axe finds nothing, all fits."""

import os
from collections.abc import Iterator

import pytest

from tests.browser import browser
from tests.votes.http.studies import KEY, Server, ask, make_site, make_vote, running

__all__ = ["browser"]  # a fixture

SCREENSHOTS = os.environ.get("ROI_RAY_SCREENSHOTS")
"""Folder that screenshots are written to, to look at them."""


@pytest.fixture(scope="module")
def study(questions, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("study")
    with running(questions, folder, make_site(), gold=0.2, repeats=0.1) as server:
        for choice in ("1", "2", "none"):
            with server.join() as rater:
                while asks := ask(rater):
                    rater.post("/api/votes", json=make_vote(asks[0]["id"], choice=choice))
        server.study.exclude(4, "/data/x.png: the PNG is truncated")
        yield server


def check(page: object, name: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    violations = axe.Axe().run(page).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_pages_have_no_violations_and_their_forms_work(browser, study, width, scheme) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, base_url=study.url
    )
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    (token,) = study.study.invite(1, 1)

    def shows(url: str, name: str) -> None:
        page.wait_for_url(f"**{url}")
        check(page, name, width)

    page.goto("/")
    shows("/", "start")
    page.goto(f"/join/{token}")
    shows(f"/join/{token}", "join")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url("**/study")
    context.clear_cookies()
    page.goto("/admin")
    shows("/admin/login", "login")
    page.get_by_label("key").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    shows("/admin/login", "wrong-key")
    page.get_by_label("key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    shows("/admin", "admin")
    page.get_by_label("Links").fill("3")
    page.get_by_role("button", name="Make links").click()
    shows("/admin/invitations", "links")
    assert page.get_by_label("Links").input_value().count("/join/") == 3
    page.get_by_role("link", name="Back").click()
    page.wait_for_url("**/admin")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/admin/login")
    context.close()
    # The wrong key, and the voting page, which has lost its session.
    refusals = ("status of 403", "status of 401")
    assert [text for text in problems if not any(each in text for each in refusals)] == []
