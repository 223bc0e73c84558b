"""Somebody who answers questions in a real browser."""

import io
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from roi_ray.imaging.pixels import Pixels8

STATE = """() => {
    const box = (id) => {
        const canvas = document.getElementById(id), {left, top} = canvas.getBoundingClientRect();
        return [left, top].map((edge) => Math.round(edge * devicePixelRatio))
            .concat(canvas.width, canvas.height);
    };
    return {original: box("original"), candidate: box("candidate")};
}"""
WATCH = """
window.shifts = [];
new PerformanceObserver((list) => {
    for (const {value, sources} of list.getEntries()) {
        const moved = sources.map(({node}) => node?.id || node?.outerHTML || node?.textContent);
        window.shifts.push(`${value}: ${moved.join(", ")}`);
    }
}).observe({type: "layout-shift", buffered: true});
"""
SECONDS = 60
"""How long a page may take on a busy machine."""
KEPT = "() => Object.values(localStorage).map(JSON.parse)"
KEYS = {"1": "1", "2": "2", "none": "0"}


class Rater:
    """A browser's context with one rater, and what its pages ask the server for.

    Args:
        browser: the browser.
        link: an invitation.
        practised: whether the rater has answered the questions to practise before, without a page.
        options: options of the browser context, such as the size of the window.

    Attributes:
        page: the voting page, at its instructions.
        asks: what the server asked, by id.
        sent: votes that the page sent, in order; twice what it sent twice.
        paths: paths that the page asked for.
        complaints: what the page wrote to the console, errors, requests of other hosts.
    """

    def __init__(self, browser: Any, link: str, practised: bool = False, **options: object) -> None:
        self.asks: dict[str, dict[str, Any]] = {}
        self.sent: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.complaints: list[str] = []
        self._loaded: set[str] = set()
        self._url = link.split("/join/")[0]
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(1000 * SECONDS)
        if practised:
            self.practise_without_page(link)
        self.page = self.open_page(None if practised else link)

    def open_page(self, url: str | None = None) -> Any:
        """Open another page of this rater."""
        page = self.context.new_page()
        page.add_init_script(WATCH)
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._note_request)
        page.on("requestfinished", self._note_loaded)
        page.on("response", self._note_response)
        page.goto(url or f"{self._url}/study")
        return page

    def join(self, start: bool = True) -> "Rater":
        """Agree to take part, by keyboard alone; leave the instructions if told so."""
        press = self.page.keyboard.press
        checkbox = self.page.locator("input[type=checkbox]")
        for _ in range(20):
            press("Tab")
            if checkbox.evaluate("box => box === document.activeElement"):
                break
        press("Space")
        press("Enter")
        self.page.locator("#help[open]").wait_for()
        if start:
            press("Enter")
            self.wait_for_question()
        return self

    def wait_for_question(self, other_than: str = "") -> str:
        """Wait until a question is shown; return its id."""
        stage = self.page.locator(f'main[data-ask]:not([data-ask=""], [data-ask="{other_than}"])')
        stage.wait_for()
        return str(stage.get_attribute("data-ask"))

    def answer(self, choice: str = "1", flips: int = 1) -> str:
        """Answer the question that is shown by keys; return its id."""
        ask = self.wait_for_question()
        for number in range(flips):
            self.page.keyboard.press("Space" if number % 2 else "f")
        self.page.keyboard.press(KEYS[choice])
        return ask

    def find(self, ask: str) -> dict[str, Any]:
        """Return a question as the server sent it."""
        self._wait(lambda: ask in self.asks)
        return self.asks[ask]

    def wait_for_preload(self) -> str:
        """Wait until the question after the one that is shown is loaded; return the shown one."""
        shown = self.wait_for_question()
        number = self.find(shown)["number"]

        def is_loaded() -> bool:
            following = [ask for ask in self.asks.values() if ask["number"] > number]
            return any(self._loaded.issuperset(ask["images"].values()) for ask in following)

        self._wait(is_loaded)
        return shown

    def wait_until_sent(self, left: int = 0) -> None:
        """Wait until the browser keeps no vote any more, or only those that it cannot send."""
        self._wait(lambda: len(self.page.evaluate(KEPT)) == left)

    def fetch(self, ask: str, role: str) -> Pixels8:
        """Fetch an image as the server sends it, (H, W, 3)."""
        response = self.context.request.get(self._url + self.find(ask)["images"][role])
        assert response.ok
        return np.asarray(Image.open(io.BytesIO(response.body())).convert("RGB"))

    def look(self, save: Path | None = None) -> tuple[Pixels8, Pixels8]:
        """Return the pixels of the screen where the original and the candidate are, (H, W, 3)."""
        png = self.page.screenshot(path=save)
        screen = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
        boxes = self.page.evaluate(STATE)
        panes = []
        for x, y, width, height in (boxes["original"], boxes["candidate"]):
            panes.append(screen[y : y + height, x : x + width])
            assert panes[-1].shape == (height, width, 3)
        return panes[0], panes[1]

    def practise_without_page(self, link: str) -> None:
        """Join at an invitation, and answer the questions to practise."""
        request = self.context.request
        text = re.search(r'name="text" value="(\w+)"', request.get(link).text())
        form = {"token": link.rsplit("/", 1)[1], "text": text[1], "consent": "yes"}
        assert request.post(f"{self._url}/join", form=form).ok
        screen = {"width": 1280, "height": 800, "pixel_ratio": 1}
        while True:
            ask = request.post(f"{self._url}/api/questions").json()["asks"][0]
            if not ask["training"]:
                break
            vote = {"id": str(uuid.uuid4()), "ask": ask["id"], "choice": "1", "screen": screen}
            vote |= {"flips": 3, "milliseconds": 4000}
            assert request.post(f"{self._url}/api/votes", data=vote).status == 201

    def _wait(self, is_over: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not is_over():
            if time.monotonic() > end:
                raise TimeoutError
            self.page.wait_for_timeout(20)

    def _note_message(self, message: Any) -> None:
        self.complaints.append(f"{message.text} {message.location['url']}")

    def _note_request(self, request: Any) -> None:
        if not request.url.startswith(f"{self._url}/"):
            self.complaints.append(f"request of {request.url}")
        self.paths.append(request.url.removeprefix(self._url))
        if request.url.endswith("/api/votes"):
            self.sent.append(request.post_data_json)

    def _note_loaded(self, request: Any) -> None:
        self._loaded.add(request.url.removeprefix(self._url))

    def _note_response(self, response: Any) -> None:
        if response.url.endswith("/api/questions") and response.ok:
            for ask in response.json()["asks"]:
                self.asks[ask["id"]] = ask
