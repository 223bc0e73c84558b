"""When a request is sent again: the operation itself, without a connection."""

import doctest
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from roi_ray.client import retry
from roi_ray.client.answers import RETRIED_STATUSES
from roi_ray.client.messages import Answer, NoAnswer, Pause, Request
from roi_ray.client.options import ClientOptions
from roi_ray.client.retry import choose_pause, read_retry_after, send_with_retries
from roi_ray.errors import ServiceError, ServiceUnavailable

LOST = NoAnswer("Connection refused")
OPTIONS = ClientOptions("http://host:8000", timeout=100, retries=4)


def run(outcomes, options=OPTIONS):
    """Give outcomes to an exchange; return its result, and the steps that it asked for."""
    operation = send_with_retries(Request("GET", "/v1/about", 0), options)
    steps, outcome = [], None
    outcomes = iter(outcomes)
    while True:
        try:
            steps.append(operation.send(outcome))
        except StopIteration as end:
            return end.value, steps
        except ServiceUnavailable as error:
            return error, steps
        outcome = next(outcomes) if isinstance(steps[-1], Request) else None


@pytest.mark.parametrize("status", [200, 201, 301, 400, 401, 403, 404, 413, 422, 500, 501])
def test_final_answers_are_not_retried(status):
    answer = Answer(status, {"content-type": "application/json"}, b"{}")
    result, steps = run([answer])
    assert result is answer and len(steps) == 1


@pytest.mark.parametrize(
    "outcome", [LOST, *(Answer(s, {}, b"") for s in (404, 500, *RETRIED_STATUSES))]
)
def test_other_outcomes_are_retried_after_a_pause(outcome):
    answer = Answer(200, {}, b"")
    result, steps = run([outcome, outcome, answer])
    assert result is answer
    assert [type(step) for step in steps] == [Request, Pause, Request, Pause, Request]
    assert all(0 < step.timeout <= 100 for step in steps if isinstance(step, Request))


def test_number_of_tries_is_one_more_than_the_retries():
    error, steps = run([LOST] * 9)
    assert isinstance(error, ServiceUnavailable)
    assert sum(isinstance(step, Request) for step in steps) == 5
    assert str(error).startswith("http://host:8000/v1/about: Connection refused; tried 5 times")
    error, steps = run([LOST], ClientOptions("http://host", retries=0))
    assert str(error).endswith("refused; tried once") and len(steps) == 1


def test_no_try_begins_after_the_timeout(monkeypatch):
    now = [0.0]
    # Not `time` itself: a server in another thread would wait for hours.
    monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: now[0]))
    operation = send_with_retries(Request("GET", "/", 0), ClientOptions("http://h", timeout=10))
    assert next(operation).timeout == 10
    now[0] = 6.0
    assert isinstance(operation.send(LOST), Pause)
    now[0] = 7.0
    assert operation.send(None).timeout == 3
    now[0] = 9.9
    with pytest.raises(ServiceUnavailable, match="tried 2 times in 10 s"):
        operation.send(LOST)


def test_pauses_double_up_to_a_limit_and_are_partly_random():
    for attempt, longest in enumerate([0.5, 1, 2, 4, 8, 10, 10, 10], start=1):
        pauses = [choose_pause(LOST, attempt) for _ in range(50)]
        assert longest / 2 <= min(pauses) < max(pauses) <= longest
    assert choose_pause(LOST, 10**6) <= 10


def test_pause_is_at_least_what_the_service_asks_for():
    answer = Answer(429, {"retry-after": "2"}, b"")
    for attempt, (shortest, longest) in enumerate([(2, 2.25), (2, 2.5), (2, 3), (2, 4), (4, 8)], 1):
        pauses = [choose_pause(answer, attempt) for _ in range(50)]
        assert shortest <= min(pauses) < max(pauses) <= longest


def test_retry_after_as_a_date():
    later = datetime.now(UTC) + timedelta(minutes=5)
    seconds = read_retry_after({"retry-after": format_datetime(later, usegmt=True)})
    assert 200 < seconds <= 300
    for text in ("", "-3", "1.5e9", "99999999999999999999999999 Jan", "\u0661"):
        assert read_retry_after({"retry-after": text}) is None


def test_examples_run():
    assert doctest.testmod(retry).failed == 0


@pytest.mark.parametrize(
    ("about", "outcome"),
    [
        (Answer(200, {}, b'{"limits": {"max_body_bytes": 5000000}}'), "at most 5,000,000"),
        (Answer(401, {}, b'{"error_kind": "Unauthorised", "error": "no key"}'), "no key"),
        (Answer(200, {}, b'{"limits": {"max_body_bytes": 50000000}}'), Pause),
        (Answer(200, {}, b'{"limits": null}'), Pause),
        (Answer(429, {}, b""), Pause),
        (Answer(503, {}, b""), Pause),
        (Answer(404, {"content-type": "text/plain"}, b"Path not found"), Pause),
        (LOST, Pause),
    ],
)
def test_lost_answer_to_a_large_body_is_explained_if_the_service_refuses_it(about, outcome):
    request = Request("PUT", "/v1/references/0", 0, content=bytes(6_000_000))
    operation = send_with_retries(request, OPTIONS)
    assert next(operation).content is request.content
    question = operation.send(NoAnswer("the connection broke"))
    assert (question.method, question.path) == ("GET", "/v1/about")
    if outcome is Pause:
        assert isinstance(operation.send(about), Pause)
    else:
        with pytest.raises(ServiceError, match=outcome):
            operation.send(about)
