"""Answers on their way to another process."""

from roi_ray.votes.http.operator.packed_answers import PART, AnswerPacker, unpack_answers
from roi_ray.votes.records import Answer, Ask, Screen, Vote

SCREEN = Screen(1920, 1080, 1.5, "Firefox")


def make_answer(number: int) -> Answer:
    vote = Vote(f"v{number}", f"a{number}", "1", 4, 5000, SCREEN)
    return Answer(number, vote, Ask(f"a{number}", "r", "q", "question", "a", number), 0.0)


def test_parts_grow_with_the_answers_and_full_ones_are_kept() -> None:
    answers = [make_answer(number) for number in range(1, 2 * PART + 3)]
    packer = AnswerPacker()
    before: list[bytes] = []
    for number in (0, 1, PART, PART + 1, 2 * PART + 2):
        parts = packer.pack(answers[:number])
        assert unpack_answers(parts) == answers[:number]
        assert len(parts) == number // PART + 1
        assert all(one is other for one, other in zip(parts, before[:-1], strict=False))
        before = parts
