"""Send a request until its answer is final: which answers are retried, and when."""

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime

from roi_ray.client.answers import is_final, summarize
from roi_ray.client.messages import Answer, NoAnswer, Operation, Pause, Request
from roi_ray.client.options import ClientOptions
from roi_ray.client.refusals import check_refused
from roi_ray.errors import ServiceUnavailable

_LOGGER = logging.getLogger("roi_ray.client")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


def send_with_retries(request: Request, options: ClientOptions) -> Operation[Answer]:
    """Send a request, again if it makes sense, until there is a final answer.

    Args:
        request: the request. `options.timeout` takes the place of its own.
        options: number of retries, and the seconds that all tries may take together.

    Returns:
        the first answer that is final; see `is_final`.

    Raises:
        ServiceUnavailable: there was none.
        ServiceError: the service did not answer because it refuses the body.
    """
    start = time.monotonic()
    attempt = 0
    while True:
        left = start + options.timeout - time.monotonic()
        outcome = yield replace(request, timeout=max(left, 0.001))
        if isinstance(outcome, Answer) and is_final(outcome):
            return outcome
        attempt += 1
        if isinstance(outcome, NoAnswer) and attempt == 1:
            yield from check_refused(request, start + options.timeout - time.monotonic())
        pause = choose_pause(outcome, attempt)
        left = start + options.timeout - time.monotonic()
        if attempt > options.retries or pause >= left:
            raise _describe_failure(request, options, outcome, attempt, time.monotonic() - start)
        _LOGGER.log(
            logging.INFO if isinstance(outcome, Answer) else logging.WARNING,
            "%s%s: %s; retry %d of %d in %.1f s",
            *(options.url.rstrip("/"), request.path, _reason(outcome)),
            *(attempt, options.retries, pause),
        )
        yield Pause(pause)


def choose_pause(outcome: Answer | NoAnswer, attempt: int) -> float:
    """Choose the seconds until the next try: twice as many each time, and partly random.

    The random part spreads the retries of many clients. The pause is never shorter than the header
    `Retry-After` asks for.

    Args:
        outcome: what the last try gave.
        attempt: number of tries so far.
    """
    longest: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempt - 1, 10))
    pause = random.uniform(longest / 2, longest)
    if isinstance(outcome, Answer) and (wait := read_retry_after(outcome.headers)) is not None:
        return max(wait, longest / 2) + pause - longest / 2
    return pause


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of the header `Retry-After`, a number or a date; None without one.

    Examples:
        >>> read_retry_after({"retry-after": "2"})
        2.0
        >>> read_retry_after({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"})
        0.0
        >>> read_retry_after({"retry-after": "soon"}) is None
        True
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _reason(outcome: Answer | NoAnswer) -> str:
    return outcome.reason if isinstance(outcome, NoAnswer) else summarize(outcome)[1]


def _describe_failure(
    request: Request,
    options: ClientOptions,
    outcome: Answer | NoAnswer,
    attempts: int,
    seconds: float,
) -> ServiceUnavailable:
    tries = "once" if attempts == 1 else f"{attempts} times in {seconds:.0f} s"
    text = f"{options.url.rstrip('/')}{request.path}: {_reason(outcome)}; tried {tries}"
    if isinstance(outcome, NoAnswer):
        return ServiceUnavailable(text)
    wait = read_retry_after(outcome.headers) or 0
    if wait > options.timeout - seconds:
        text += f"; it asks to wait {wait:.0f} s, beyond the timeout of {options.timeout:g} s"
    return ServiceUnavailable(text, outcome.status, summarize(outcome)[0])
