"""People who answer as others did: recorded answers, asked for in any order.

Each recorded answer is given once, as if the rater who gave it had come now; the answers about one
question come in random order. A question with no answer left is asked no more. Answers are not
drawn twice: most questions of a study have one answer, which would only seem to confirm itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.io.allowlist import Allowlist
from roi_ray.preference.comparisons.table import count_votes
from roi_ray.votes.asking.orders import Order
from roi_ray.votes.questions.table import Questions, make_key
from roi_ray.votes.records import MIN_FLIPS, MIN_MILLISECONDS, Answer, Ask, Choice, Screen, Vote

_SCREEN = Screen(0, 0, 1.0, "")


@dataclass(frozen=True, eq=False)
class People:
    """Questions that people have answered, and the answers.

    Attributes:
        questions: each distinct question once, N of them.
        p_a: the answers to each question, N tuples of 1 or more: 1 for `a`, 0 for `b`, 0.5 for a
            tie; a number between says how likely the answer is `a`.
    """

    questions: Questions
    p_a: tuple[tuple[float, ...], ...]

    @property
    def answers(self) -> int:
        """Number of all answers."""
        return sum(map(len, self.p_a))


def gather_people(table: pa.Table) -> People:
    """Collect the distinct questions of answered comparisons, and the answers to each.

    Args:
        table: comparisons that can be used, at least one, each with `p_a`.

    Examples:
        >>> rows = {"reference": ["o", "o"], "a": ["x", "y"], "b": ["y", "x"], "p_a": [0.8, 1.0]}
        >>> people = gather_people(pa.table({**rows, "votes": [5, 1], "group": ["o", "o"]}))
        >>> people.p_a
        ((1.0, 1.0, 1.0, 1.0, 0.0, 0.0),)
    """
    columns = [table[name].to_pylist() for name in (*schema.COMPARISON_URIS, schema.P_A)]
    answered = zip(*columns, count_votes(table), strict=True)
    rows: dict[str, int] = {}
    first: list[int] = []
    given: list[list[float]] = []
    turned_from: list[str] = []
    for row, (reference, a, b, p_a, votes) in enumerate(answered):
        key = make_key(reference, a, b)
        if key not in rows:
            rows[key] = len(rows)
            first.append(row)
            given.append([])
            turned_from.append(a)
        number = rows[key]
        given[number] += _split_answers(p_a if a == turned_from[number] else 1 - p_a, votes)
    kept = [name for name in table.column_names if name not in _OF_ANSWERS]
    asked = table.select(kept).take(pa.array(first, pa.int64()))
    asked = asked.append_column(schema.QUESTION, pa.array(list(rows)))
    asked = asked.append_column(schema.GOLD, pa.repeat(False, len(rows)))
    questions = Questions(asked, np.ones(len(rows), np.bool_), Allowlist(()))
    return People(questions, tuple(map(tuple, given)))


_OF_ANSWERS = {schema.P_A, schema.VOTES, schema.TIE, schema.RATER, schema.GOLD, schema.QUESTION}


def ask_people(
    people: People, order: Order, votes: int, at_once: int, random: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Ask people in an order, and let the order learn from their answers.

    Args:
        people: the people.
        order: which question comes next.
        votes: the most votes; there are fewer if no answer is left.
        at_once: questions that raters have before them at any time.
        random: source of chance.

    Yields:
        each vote: row of the question, and `p_a`: 1, 0 or 0.5.
    """
    left = [random.permutation(given).tolist() for given in people.p_a]
    unasked = np.array([len(given) for given in left], np.int64)
    pending = np.zeros(len(unasked), np.int64)
    keys = people.questions.table[schema.QUESTION].to_pylist()
    waiting: list[int] = []
    for number in range(1, votes + 1):
        while len(waiting) < at_once:
            question = order.choose(unasked > 0, pending)
            if question is None:
                break
            waiting.append(question)
            unasked[question] -= 1
            pending[question] += 1
        if not waiting:
            return
        row = waiting.pop(int(random.integers(len(waiting))))
        pending[row] -= 1
        answer = _answer(number, keys[row], left[row].pop(), random)
        order.add([answer])
        if (work := order.next_fit()) is not None:
            order.take_fit(work())
        yield row, answer.p_a


def _split_answers(p_a: float, votes: float) -> list[float]:
    """Split `votes` answers, of which the share `p_a` prefers `a`, into single ones."""
    wins = int(p_a * votes + 1e-9)
    losses = int((1 - p_a) * votes + 1e-9)
    rest = votes - wins - losses
    part = [(p_a * votes - wins) / rest] if rest > 0.5 else []
    return [1.0] * wins + part + [0.0] * losses


def _answer(number: int, key: str, p_a: float, random: np.random.Generator) -> Answer:
    if p_a == 0.5:
        choice: Choice = "none"
    else:
        choice = "1" if random.random() < p_a else "2"
    ask = Ask(f"{number}", "", key, "question", "a", number)
    vote = Vote(f"{number}", ask.id, choice, MIN_FLIPS, MIN_MILLISECONDS, _SCREEN)
    return Answer(number, vote, ask, 0.0)
