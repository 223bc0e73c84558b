import numpy as np

from roi_ray.votes.http.operator.overview import compute_overview
from roi_ray.votes.http.operator.packed_answers import AnswerPacker
from roi_ray.votes.options import VoteOptions
from tests.votes.asking.studies import make_answers, make_questions


def test_names_that_nobody_can_vote_about_do_not_keep_one_from_stopping() -> None:
    questions = make_questions(methods=4, references=8)
    is_known = np.array(["m03" not in row.values() for row in questions.table.to_pylist()])
    rows = np.tile(np.flatnonzero(is_known), 20).tolist()
    answers = AnswerPacker().pack(make_answers(questions, rows, [1] * len(rows)))
    advice = [
        compute_overview(questions.table, can_rank, answers, VoteOptions()).ranking.advice
        for can_rank in (questions.is_open, is_known)
    ]
    assert advice[0].startswith("Not known yet: there are no votes about m03")
    assert advice[1].startswith("Stop: ")
