"""How carefully each rater answers: agreement with known answers, and with himself or herself."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median

import pyarrow as pa

from roi_ray import schema
from roi_ray.votes.records import Answer

_ARROW = {str: "string", int: "int64", float | None: "float64"}


@dataclass(frozen=True)
class RaterSummary:
    """What the answers of a rater say about the rater.

    All numbers but `training`, `answers` and `hasty` are about careful answers: neither of the
    training, nor hasty.

    Attributes:
        rater: random text.
        training: answers of the training.
        answers: all others.
        hasty: those of `answers` with too few flips, or given too soon.
        ties: "I cannot decide".
        gold: questions whose answer is known.
        gold_right: how many of them were answered right; "I cannot decide" is wrong.
        repeats: questions that the rater had answered carefully before.
        repeats_same: how many of them were answered as before.
        first_chosen: share of choices that were for the candidate that the page calls 1, which
            sides at random make 0.5; None without choices.
        median_seconds: median time from seeing the images to the answer; None without answers.
    """

    rater: str
    training: int
    answers: int
    hasty: int
    ties: int
    gold: int
    gold_right: int
    repeats: int
    repeats_same: int
    first_chosen: float | None
    median_seconds: float | None


def summarize_raters(answers: Sequence[Answer], questions: pa.Table) -> list[RaterSummary]:
    """Summarize the answers of each rater, in the order of the raters' first answers.

    Args:
        answers: in the order in which they were given.
        questions: a row per question, with `question` and `expected_p_a`.

    Examples:
        >>> from roi_ray.votes.records import Ask, Screen, Vote
        >>> questions = pa.table({"question": ["5f2c"], "expected_p_a": [1.0]})
        >>> ask = Ask("ask", "rater", "5f2c", "gold", first="b", number=0)
        >>> vote = Vote("id", "ask", "2", 4, 5000, Screen(390, 844, 3.0, ""))
        >>> (summary,) = summarize_raters([Answer(1, vote, ask, 1.7e9)], questions)
        >>> summary.gold_right, summary.gold, summary.first_chosen, summary.median_seconds
        (1, 1, 0.0, 5.0)
    """
    expected = _expected_answers(questions)
    of_rater: dict[str, list[Answer]] = {}
    for answer in answers:
        of_rater.setdefault(answer.ask.rater, []).append(answer)
    return [_summarize(rater, own, expected) for rater, own in of_rater.items()]


def tabulate_raters(summaries: Iterable[RaterSummary]) -> pa.Table:
    """Return a row per rater, with a column per attribute of `RaterSummary`.

    Examples:
        >>> tabulate_raters([]).column_names[:3]
        ['rater', 'training', 'answers']
    """
    columns = [(field.name, _ARROW[field.type]) for field in fields(RaterSummary)]  # type: ignore[index]
    return pa.Table.from_pylist([asdict(summary) for summary in summaries], pa.schema(columns))


def _expected_answers(questions: pa.Table) -> dict[str, float]:
    if schema.EXPECTED_P_A not in questions.column_names:
        return {}
    names = schema.QUESTION, schema.EXPECTED_P_A
    pairs = zip(*(questions[name].to_pylist() for name in names), strict=True)
    return {key: p_a for key, p_a in pairs if p_a is not None}


def _summarize(rater: str, own: Sequence[Answer], expected: dict[str, float]) -> RaterSummary:
    counted = [answer for answer in own if answer.ask.kind != "training"]
    careful = [answer for answer in counted if answer.problem is None]
    gold = [
        answer.p_a == expected[answer.ask.question]
        for answer in careful
        if answer.ask.kind == "gold" and answer.ask.question in expected
    ]
    repeats = _compare_repeats(careful)
    chosen = [answer.vote.choice for answer in careful if answer.vote.choice != "none"]
    seconds = [answer.vote.milliseconds / 1000 for answer in careful]
    return RaterSummary(
        rater,
        training=len(own) - len(counted),
        answers=len(counted),
        hasty=len(counted) - len(careful),
        ties=len(careful) - len(chosen),
        gold=len(gold),
        gold_right=sum(gold),
        repeats=len(repeats),
        repeats_same=sum(repeats),
        first_chosen=chosen.count("1") / len(chosen) if chosen else None,
        median_seconds=median(seconds) if seconds else None,
    )


def _compare_repeats(careful: Iterable[Answer]) -> list[bool]:
    """Return for each repeat whether it says the same as the rater's answer before it."""
    before: dict[str, float] = {}
    same = []
    for answer in careful:
        question = answer.ask.question
        if answer.ask.kind == "repeat" and question in before:
            same.append(answer.p_a == before[question])
        before[question] = answer.p_a
    return same
