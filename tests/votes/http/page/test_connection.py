"""Votes when the page or its connection breaks: none is lost, and none is stored twice."""

import json

import pytest

from tests.votes.http.page.rater import UNSENT

VOTES = "**/api/votes"


def wait_for_banner(rater, text: str) -> None:
    rater.page.locator("#banner", has_text=text).wait_for()


def check_all_stored_once(rater, study, number: int) -> None:
    """Check that the votes of different questions that the page sent are stored, each once."""
    rater.wait_until_sent()
    stored = study.read_answers()
    ids = {vote["id"]: vote for vote in rater.sent}
    mine = [stored[id] for id in ids]
    assert len(mine) == number
    assert len({answer.ask.id for answer in mine}) == number
    assert {answer.ask.rater for answer in mine} == {mine[0].ask.rater}
    others = [answer for answer in stored.values() if answer.ask.rater == mine[0].ask.rater]
    assert sum(answer.ask.kind != "training" for answer in others) == number
    for answer in mine:
        assert answer.vote.choice == ids[answer.vote.id]["choice"]


def test_votes_wait_for_a_server_that_is_killed_and_arrive_once(open_rater, study) -> None:
    rater = open_rater(practised=True)
    rater.wait_for_preload()
    study.kill()
    first = rater.answer("1")
    second = rater.wait_for_question(first)  # it was loaded before
    wait_for_banner(rater, "No connection")
    assert "Nothing is lost" in rater.page.locator("#banner").text_content()
    rater.answer("2")
    rater.page.locator('main[data-ask=""]').wait_for()  # no third question was loaded
    assert rater.page.evaluate(UNSENT) == 2
    study.start()
    rater.page.evaluate("dispatchEvent(new Event('online'))")  # instead of some seconds
    rater.wait_for_question(second)
    assert rater.page.locator("#banner").text_content() == ""
    check_all_stored_once(rater, study, 2)
    rater.complaints.clear()


def test_votes_of_an_offline_browser_are_sent_when_it_is_online_again(open_rater, study) -> None:
    rater = open_rater(practised=True)
    rater.wait_for_preload()
    rater.context.set_offline(True)
    wait_for_banner(rater, "Nothing is lost")
    ask = rater.answer("none")
    rater.wait_for_question(ask)
    wait_for_banner(rater, "1 answer waits")
    rater.context.set_offline(False)
    check_all_stored_once(rater, study, 1)
    assert rater.page.locator("#banner").text_content() == ""
    rater.complaints.clear()


def test_vote_that_a_reload_interrupts_is_sent_afterwards(open_rater, study) -> None:
    rater = open_rater(practised=True)
    rater.page.route(VOTES, lambda route: route.abort())
    ask = rater.answer("2")
    following = rater.wait_for_question(ask)
    rater.page.unroute(VOTES)
    rater.page.reload()
    assert rater.wait_for_question() == following
    check_all_stored_once(rater, study, 1)
    rater.complaints.clear()


def test_vote_whose_answer_is_lost_is_sent_again_and_stored_once(open_rater, study) -> None:
    rater = open_rater(practised=True)
    answers = []

    def lose_the_first(route) -> None:
        response = route.fetch()
        answers.append(response.status)
        route.abort() if len(answers) == 1 else route.fulfill(response=response)

    rater.page.route(VOTES, lose_the_first)
    ask = rater.answer("1")
    rater.wait_for_question(ask)
    check_all_stored_once(rater, study, 1)
    assert answers == [201, 200]
    rater.complaints.clear()


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 429, "headers": {"Retry-After": "1"}, "json": {"error_kind": "TooManyRequests"}},
        {"status": 503, "json": {"error_kind": "NotReady"}},
        {"status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
        {"status": 404, "body": "<h1>No such host here</h1>", "content_type": "text/html"},
        {"status": 200, "body": "<h1>Please log in</h1>", "content_type": "text/html"},
    ],
    ids=lambda answer: f"{answer['status']} {'JSON' if 'json' in answer else 'of another server'}",
)
def test_vote_is_sent_again_after(open_rater, study, answer) -> None:
    rater = open_rater(practised=True)
    rater.page.route(VOTES, lambda route: route.fulfill(**answer), times=1)
    ask = rater.answer("1")
    wait_for_banner(rater, "Nothing is lost: 1 answer waits here.")
    rater.page.evaluate("dispatchEvent(new Event('online'))")
    rater.wait_for_question(ask)
    check_all_stored_once(rater, study, 1)
    assert len(rater.sent) == 2
    rater.complaints.clear()


@pytest.mark.parametrize("status", [409, 422])
def test_vote_that_is_refused_for_good_is_dropped_with_a_message(open_rater, status) -> None:
    rater = open_rater(practised=True)
    refusal = {"error_kind": "Refused", "error": "no"}
    rater.page.route(VOTES, lambda route: route.fulfill(status=status, json=refusal), times=1)
    before = len(rater.sent)
    ask = rater.answer("1")
    rater.page.locator("#message", has_text="answer").wait_for()
    rater.wait_until_sent()
    assert len(rater.sent) == before + 1
    following = rater.wait_for_question(ask)
    rater.answer("2")
    rater.wait_for_question(following)
    rater.complaints.clear()


def test_lost_session_asks_for_the_invitation_and_keeps_the_vote(open_rater) -> None:
    rater = open_rater(practised=True)
    rater.wait_for_preload()
    rater.context.clear_cookies()
    ask = rater.answer("1")
    rater.page.locator("#closing").wait_for()
    assert "invitation link" in rater.page.locator("#closing").inner_text()
    kept = rater.page.evaluate("() => Object.values(localStorage)")
    assert [json.loads(text)["vote"]["ask"] for text in kept] == [ask]
    rater.complaints.clear()


def test_two_tabs_answer_each_question_once(open_rater, study) -> None:
    rater = open_rater(practised=True)
    ask = rater.wait_for_question()
    first, second = rater.page, rater.open_page()
    rater.page = second
    assert rater.wait_for_question() == ask
    rater.page = first
    rater.answer("1")
    rater.page = second
    following = rater.wait_for_question(ask)
    assert "another tab" in second.locator("#message").text_content()
    rater.answer("2")
    rater.wait_for_question(following)
    rater.page = first
    rater.wait_for_question(following)
    check_all_stored_once(rater, study, 2)


def test_image_that_comes_damaged_is_loaded_again(open_rater) -> None:
    rater = open_rater()
    damaged = {"body": b"RIFF damaged", "content_type": "image/webp"}
    rater.page.route("**/images/*/2", lambda route: route.fulfill(**damaged), times=1)
    rater.join()
    assert len([path for path in rater.paths if path.endswith("/2")]) >= 2
