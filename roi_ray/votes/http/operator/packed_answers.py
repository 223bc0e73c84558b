"""Hand the answers of a study to another process, while other threads go on."""

import pickle
import threading
from collections.abc import Sequence

from roi_ray.votes.records import Answer

PART = 1000
"""Answers that are pickled at a time: meanwhile, no other thread runs."""


class AnswerPacker:
    """Pickles the answers of a study in parts; each part that is full once.

    Examples:
        >>> packer = AnswerPacker()
        >>> unpack_answers(packer.pack([]))
        []
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._lock = threading.Lock()

    def pack(self, answers: Sequence[Answer]) -> list[bytes]:
        """Pickle answers.

        Args:
            answers: all answers; they begin with those of the last call.
        """
        with self._lock:
            full = len(answers) // PART
            for number in range(len(self._parts), full):
                self._parts.append(pickle.dumps(answers[number * PART : (number + 1) * PART]))
            return [*self._parts[:full], pickle.dumps(answers[full * PART :])]


def unpack_answers(parts: Sequence[bytes]) -> list[Answer]:
    """Return the answers of `AnswerPacker.pack`."""
    return [answer for part in parts for answer in pickle.loads(part)]
