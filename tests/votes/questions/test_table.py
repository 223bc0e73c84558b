import numpy as np
import pyarrow as pa
import pytest

from roi_ray.io.allowlist import Allowlist
from roi_ray.votes.questions.table import Questions, make_key


def test_key_is_the_same_if_the_candidates_are_exchanged() -> None:
    assert make_key("o", "x", "y") == make_key("o", "y", "x")


@pytest.mark.parametrize("other", [("p", "x", "y"), ("o", "x", "z"), ("x", "o", "y")])
def test_key_of_another_question_is_another(other) -> None:
    assert make_key(*other) != make_key("o", "x", "y")


def test_questions_are_found_by_their_key() -> None:
    table = pa.table({"question": ["k0", "k1"], "gold": [False, True]})
    questions = Questions(table, np.array([True, True]), Allowlist(()))
    assert len(questions) == 2
    assert questions.find("k1") == 1
    assert questions.is_gold.tolist() == [False, True]
    with pytest.raises(KeyError):
        questions.find("k2")
