"""Votes when the page or its connection breaks: none is lost, and none is stored twice."""

from tests.votes.http.page.rater import KEPT

VOTES = "**/api/votes"
FULL_STORAGE = "() => { Storage.prototype.setItem = () => { throw new DOMException('full'); }; }"
DAMAGED = {"body": b"RIFF damaged", "content_type": "image/webp"}


def answer_next_vote(rater, **answer) -> None:
    rater.page.route(VOTES, lambda route: route.fulfill(**answer), times=1)


def wait_for_banner(rater, text: str) -> None:
    rater.page.locator("#banner", has_text=text).wait_for()


def stop_clock(rater) -> None:
    """Stop the clock of the page, so that no vote is sent again because time passes."""
    rater.page.clock.install()
    rater.page.clock.pause_at(rater.page.evaluate("Date.now() / 1000 + 1"))


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
    assert len(rater.page.evaluate(KEPT)) == 2
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
    rater.page.locator("#banner:empty").wait_for(state="attached")
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


ANSWERS_THAT_MAY_CHANGE = (
    {"status": 429, "headers": {"Retry-After": "1"}, "json": {"error_kind": "TooManyRequests"}},
    {"status": 503, "json": {"error_kind": "NotReady"}},
    {"status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
    {"status": 404, "body": "<h1>No such host here</h1>", "content_type": "text/html"},
    {"status": 403, "body": "<h1>Please log in</h1>", "content_type": "text/html"},
    {"status": 200, "body": "<h1>Please log in</h1>", "content_type": "text/html"},
)


def test_vote_is_sent_again_after_answers_that_may_change(open_rater, study) -> None:
    rater = open_rater(practised=True)
    rater.wait_for_question()
    stop_clock(rater)
    for answer in ANSWERS_THAT_MAY_CHANGE:
        rater.wait_for_preload()
        answer_next_vote(rater, **answer)
        ask = rater.answer("1")
        wait_for_banner(rater, "Nothing is lost: 1 answer waits here.")
        rater.page.evaluate("dispatchEvent(new Event('online'))")
        rater.wait_for_question(ask)
        rater.wait_until_sent()
    check_all_stored_once(rater, study, len(ANSWERS_THAT_MAY_CHANGE))
    assert len(rater.sent) == 2 * len(ANSWERS_THAT_MAY_CHANGE)
    rater.complaints.clear()


def test_refused_vote_is_not_sent_again_and_the_message_stays_until_a_flip(open_rater) -> None:
    rater = open_rater(practised=True)
    page, message = rater.page, rater.page.locator("#message")
    for status, number_kept in ((422, 1), (404, 2), (409, 2)):
        answer_next_vote(rater, status=status, json={"error_kind": "Refused", "error": "no"})
        rater.wait_for_question(rater.answer("1"))
        message.filter(has_text="answer").wait_for()
        page.keyboard.press("Space")
        assert message.text_content() == ""
        kept = page.evaluate(KEPT)
        assert [entry["isRefused"] for entry in kept] == [True] * number_kept
    assert len(rater.sent) == 3
    page.reload()
    message.filter(has_text="2 answers from this browser could not be stored").wait_for()
    assert len(rater.sent) == 3
    rater.complaints.clear()


def test_lost_session_keeps_the_vote_and_says_so(open_rater) -> None:
    rater = open_rater(practised=True)
    rater.wait_for_preload()
    rater.context.clear_cookies()
    ask = rater.answer("1")
    rater.page.locator("#closing").wait_for()
    closing = rater.page.locator("#closing").inner_text()
    assert "ask whoever invited you" in closing
    assert "1 answer could not be sent. This browser keeps it." in closing
    assert [entry["vote"]["ask"] for entry in rater.page.evaluate(KEPT)] == [ask]
    rater.complaints.clear()


def test_vote_of_another_rater_is_kept_and_not_sent(open_rater, study) -> None:
    rater = open_rater(practised=True)
    page = rater.page
    rater.wait_for_preload()
    page.route(VOTES, lambda route: route.abort())
    mine = rater.answer("1")
    wait_for_banner(rater, "1 answer waits")
    page.goto("about:blank")  # until the other rater has joined, nothing sends the vote again
    page.unroute(VOTES)
    rater.context.clear_cookies()
    rater.practise_without_page(study.link)
    number_sent = len(rater.sent)
    page.goto(f"{study.url}/study")
    rater.wait_for_question(mine)
    page.locator("#message", has_text="1 answer from this browser could not be stored").wait_for()
    other = rater.answer("2")
    rater.wait_for_question(other)
    rater.wait_until_sent(left=1)
    assert [entry["vote"]["ask"] for entry in page.evaluate(KEPT)] == [mine]
    assert [vote["ask"] for vote in rater.sent[number_sent:]] == [other]
    rater.complaints.clear()


def test_server_that_refuses_the_page_ends_it_and_the_vote_is_kept(open_rater) -> None:
    rater = open_rater(practised=True)
    refusal = {"error_kind": "CrossOrigin", "error": "another site sent this request"}
    rater.page.route(VOTES, lambda route: route.fulfill(status=403, json=refusal))
    ask = rater.answer("1")
    rater.page.locator("#closing").wait_for()
    closing = rater.page.locator("#closing").inner_text()
    assert "another site sent this request" in closing
    assert "1 answer could not be sent" in closing
    assert [entry["vote"]["ask"] for entry in rater.page.evaluate(KEPT)] == [ask]
    rater.complaints.clear()


def test_browser_without_storage_warns_before_a_vote_is_lost(open_rater) -> None:
    rater = open_rater(practised=True)
    page, dialogs = rater.page, []
    rater.wait_for_preload()
    page.evaluate(FULL_STORAGE)
    page.route(VOTES, lambda route: route.abort())
    rater.answer("1")
    wait_for_banner(rater, "Do not close this page: 1 answer waits here.")
    page.on("dialog", lambda dialog: (dialogs.append(dialog.type), dialog.dismiss()))
    with page.expect_event("dialog"):
        page.evaluate("location.reload()")
    page.unroute(VOTES)
    page.evaluate("dispatchEvent(new Event('online'))")
    page.locator("#banner:empty").wait_for(state="attached")
    assert dialogs == ["beforeunload"]
    rater.complaints.clear()


def test_stored_items_that_are_no_votes_harm_nobody(open_rater, study) -> None:
    rater = open_rater(practised=True)
    for item in ("", "null", "{}", "[1]", '{"vote": {"id": 1}}'):
        rater.page.evaluate("item => localStorage.setItem(`roi-ray.vote.${item}`, item)", item)
    rater.page.reload()
    with rater.page.expect_response(VOTES):
        ask = rater.answer("1")
    rater.wait_for_question(ask)
    rater.page.evaluate("localStorage.clear()")
    check_all_stored_once(rater, study, 1)


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
    rater = open_rater(practised=True)
    shown = rater.wait_for_preload()
    path = rater.find(shown)["images"]["2"]
    rater.page.route(f"**{path}", lambda route: route.fulfill(**DAMAGED), times=1)
    before = len(rater.paths)
    rater.page.reload()
    rater.wait_for_question()
    assert rater.paths[before:].count(path) == 2
    rater.page.keyboard.press("Space")
    assert rater.look()[1].std() > 5


def test_images_that_cannot_be_decoded_end_the_page(open_rater) -> None:
    rater = open_rater(practised=True)
    rater.page.clock.install()  # instead of the seconds between attempts
    rater.page.route("**/images/**", lambda route: route.fulfill(**DAMAGED))
    rater.page.reload()
    closing = rater.page.locator("#closing")
    for _ in range(100):
        rater.page.clock.run_for(1000)
        if closing.is_visible():
            break
    assert "cannot show these images" in closing.inner_text()
    assert "All your answers are stored" in closing.inner_text()
    # Two rounds of two questions; three attempts at each image.
    assert len([path for path in rater.paths if "/images/" in path]) <= 6 + 2 * 2 * 3 * 3
