"""The voting page in a real browser, against a real study: answers, keys, practice, the end."""

import io

import pytest
from PIL import Image

from tests.votes.http.page.conftest import PHONE
from tests.votes.http.page.study_process import PRACTICE, QUESTIONS

COUNT_BITMAPS = """
window.bitmaps = window.most = 0;
const create = createImageBitmap, close = ImageBitmap.prototype.close;
window.createImageBitmap = async (...given) => {
    const bitmap = await create(...given);
    window.most = Math.max(window.most, ++window.bitmaps);
    return bitmap;
};
ImageBitmap.prototype.close = function () { window.bitmaps--; close.call(this); };
"""


def test_keyboard_alone_gives_20_votes_which_are_stored_as_given(open_rater, study) -> None:
    rater = open_rater().join()
    for _ in range(PRACTICE):
        ask = rater.answer()
        rater.page.locator("#feedback").wait_for()
        rater.page.keyboard.press("Enter")
        rater.wait_for_question(ask)
    choices = ["1", "2", "none", "2", "1"]
    given = {}
    for number in range(QUESTIONS):
        choice, flips = choices[number % 5], 1 + number % 4
        before = rater.answer(choice, flips)
        given[before] = (choice, flips)
        if number + 1 < QUESTIONS:
            rater.wait_for_question(before)
    rater.page.locator("#closing").wait_for()
    assert "Thank you" in rater.page.locator("#closing").inner_text()
    assert f"{PRACTICE + QUESTIONS} questions" in rater.page.locator("#closing").inner_text()

    stored = study.read_answers()
    mine = {stored[vote["id"]].ask.id: stored[vote["id"]] for vote in rater.sent}
    assert len(mine) == PRACTICE + QUESTIONS == len(rater.sent)
    for ask, (choice, flips) in given.items():
        answer = mine[ask]
        assert (answer.vote.choice, answer.vote.flips) == (choice, flips)
        assert answer.p_a == {"a1": 1, "b2": 1, "a2": 0, "b1": 0}.get(
            answer.ask.first + choice, 0.5
        )
        assert answer.vote.screen.browser == rater.page.evaluate("navigator.userAgent")
    # With 20 questions, one side comes first in all of them every 500,000th time.
    assert {answer.ask.first for answer in mine.values()} == {"a", "b"}


def test_choice_counts_only_after_both_candidates_were_seen(open_rater) -> None:
    rater = open_rater().join()
    page, message = rater.page, rater.page.locator("#message")
    shown = rater.wait_for_question()
    for press in ("1", "2", "0", "?"):
        page.keyboard.press(press)
        assert "both candidates first" in message.text_content()
    page.locator("#choose-2").click()
    assert rater.wait_for_question() == shown
    assert not rater.sent
    page.keyboard.press("Space")
    assert message.text_content() == ""
    page.keyboard.press("?")
    page.locator("#feedback").wait_for()
    assert [vote["choice"] for vote in rater.sent] == ["none"]


def test_flip_shows_the_other_candidate_and_says_which(open_rater) -> None:
    rater = open_rater().join()
    page, candidate = rater.page, rater.page.locator("#candidate")
    box = page.locator(".chip").first.bounding_box()
    keys = [lambda: page.keyboard.press("Space"), lambda: page.keyboard.press("f")]
    clicks = [candidate.click, page.locator("#flip").click]
    for number, flip in enumerate([*keys, *clicks], start=1):
        flip()
        shown = str(1 + number % 2)
        assert page.locator(".chip.is-shown").text_content() == shown
        assert page.locator("#shown").text_content() == f"Candidate {shown} is shown"
        assert candidate.get_attribute("aria-label").startswith(f"Candidate {shown};")
    assert page.locator(".chip").first.bounding_box() == box
    page.keyboard.down("Space")
    for _ in range(5):
        page.keyboard.down("Space")  # a key that is held
    page.keyboard.up("Space")
    page.locator("#flip").focus()
    for _ in range(6):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    candidate.evaluate("one => one.click()")  # as voice control does
    rater.page.keyboard.press("1")
    page.locator("#feedback").wait_for()
    assert rater.sent[0]["flips"] == 7


def test_space_flips_after_a_click_and_presses_a_button_that_has_the_focus(open_rater) -> None:
    rater = open_rater().join()
    page = rater.page
    page.locator("#flip").click()
    page.keyboard.press("Space")
    assert page.locator(".chip.is-shown").text_content() == "1"
    page.locator("#choose-none").focus()
    page.keyboard.press("Space")
    page.locator("#feedback").wait_for()
    assert rater.sent[0] | {"choice": "none", "flips": 2} == rater.sent[0]


def test_milliseconds_run_from_the_images_to_the_choice_with_pauses(open_rater) -> None:
    rater = open_rater()
    rater.page.clock.install()
    rater.join(start=False)
    rater.page.clock.fast_forward(100_000)  # reading the instructions does not count
    rater.page.keyboard.press("Enter")
    rater.wait_for_question()
    rater.page.clock.fast_forward(3_000)
    rater.page.keyboard.press("h")
    rater.page.clock.fast_forward(20_000)  # but help does
    rater.page.keyboard.press("h")
    rater.answer("1")
    rater.page.locator("#feedback").wait_for()
    assert 23_000 <= rater.sent[0]["milliseconds"] < 90_000


def test_practice_tells_the_right_answer_and_lets_the_rater_look_again(open_rater, study) -> None:
    rater = open_rater().join()
    page, feedback = rater.page, rater.page.locator("#feedback-text")
    assert page.locator("#practice").is_visible()
    for choice in ("1", "none"):
        with page.expect_response("**/api/votes") as response:
            ask = rater.answer(choice)
        expected = response.value.json()["expected"]
        page.locator("#feedback").wait_for()
        assert f"{expected} is closer to the original" in feedback.text_content()
        assert feedback.text_content().startswith("Right") == (choice == expected)
        assert page.locator("#choices").is_hidden()
        page.keyboard.press("1")  # too late
        page.keyboard.press("Space")
        assert page.locator(".chip.is-shown").text_content() == "1"
        page.keyboard.press("Enter")
        rater.wait_for_question(ask)
    assert page.locator("#practice").is_hidden()
    stored = study.read_answers()
    kinds = [stored[vote["id"]].ask.kind for vote in rater.sent]
    assert kinds == ["training"] * PRACTICE
    rater.answer("1")
    rater.wait_until_sent()
    assert page.locator("#feedback").is_hidden()


def test_progress_counts_answers_and_survives_a_reload(open_rater) -> None:
    rater = open_rater(practised=True)
    rater.wait_for_question()
    text, bar = rater.page.locator("#progress-text"), rater.page.locator("#progress")
    total = PRACTICE + QUESTIONS
    assert text.text_content() == f"{PRACTICE} of {total} answered"
    ask = rater.answer()
    ask = rater.wait_for_question(ask)
    assert text.text_content() == f"{PRACTICE + 1} of {total} answered"
    rater.wait_until_sent()
    rater.page.reload()
    assert rater.wait_for_question() == ask
    assert rater.page.locator("#help").is_hidden()
    assert text.text_content() == f"{PRACTICE + 1} of {total} answered"
    assert bar.get_attribute("value") == str(PRACTICE + 1)
    assert bar.get_attribute("max") == str(total)


def test_reload_keeps_flips_and_time_of_the_question(open_rater) -> None:
    rater = open_rater(practised=True)
    rater.wait_for_question()
    for key in ("Space", "f", "Space"):
        rater.page.keyboard.press(key)
    rater.page.wait_for_timeout(100)
    rater.page.reload()
    ask = rater.wait_for_question()
    rater.page.keyboard.press("1")
    rater.wait_for_question(ask)
    assert rater.sent[0]["flips"] == 3
    assert rater.sent[0]["milliseconds"] >= 100


def test_next_question_needs_no_request(open_rater) -> None:
    rater = open_rater(practised=True)
    for _ in range(2):
        ask = rater.wait_for_preload()
        rater.page.route("**/*", lambda route: route.abort())
        before = len(rater.paths)
        rater.answer("2")
        rater.wait_for_question(ask)
        assert set(rater.paths[before:]) == {"/api/votes"}  # again after a second
        original, candidate = rater.look()
        assert original.std() > 5 and candidate.std() > 5
        rater.page.unroute("**/*")
        rater.page.reload()
        rater.wait_until_sent()
        rater.complaints.clear()


def test_help_opens_and_closes_by_key_and_button(open_rater) -> None:
    rater = open_rater().join()
    page, panel = rater.page, rater.page.locator("#help")
    for open_it, close_it in (("h", "h"), ("H", "Escape"), ("h", "Enter")):
        page.keyboard.press(open_it)
        panel.wait_for()
        page.keyboard.press(close_it)
        panel.wait_for(state="hidden")
    page.locator("#help-button").click()
    panel.get_by_role("button").click()
    assert panel.is_hidden()
    page.keyboard.press("Space")
    assert page.locator(".chip.is-shown").text_content() == "2"


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_in_any_state(open_rater, options) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rater = open_rater(**options).join(start=False)
    page = rater.page

    def check(state: str) -> None:
        violations = axe.run(page).response["violations"]
        assert [(state, one["id"], one["nodes"][0]["html"]) for one in violations] == []

    check("instructions")
    page.keyboard.press("Enter")
    rater.wait_for_question()
    check("question")
    page.keyboard.press("1")
    check("message")
    rater.wait_for_preload()
    with page.expect_response("**/api/questions"):  # after the vote
        practised = rater.answer("1")
    page.locator("#feedback").wait_for()
    check("feedback")
    rater.context.clear_cookies()
    page.keyboard.press("Enter")
    rater.wait_for_question(other_than=practised)
    rater.answer("2")
    page.locator("#closing").wait_for()
    check("closing")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    rater.complaints.clear()  # the browser reports that the answer was 401


def test_large_images_are_decoded_one_question_at_a_time(open_rater) -> None:
    rater = open_rater(practised=True)
    page, data = rater.page, io.BytesIO()
    Image.new("RGB", (3000, 2100)).save(data, "PNG")

    def enlarge(route) -> None:
        answer = route.fetch().json()
        asks = [{**ask, "width": 3000, "height": 2100} for ask in answer["asks"]]
        route.fulfill(json={**answer, "asks": asks})

    page.route("**/api/questions", enlarge)
    page.route("**/images/**", lambda route: route.fulfill(body=data.getvalue()))
    page.add_init_script(COUNT_BITMAPS)
    page.reload()
    for _ in range(2):
        ask = rater.wait_for_preload()
        assert page.evaluate("window.bitmaps") == 3
        rater.answer("1")
        rater.wait_for_question(ask)
        assert page.evaluate("window.most") == 3
