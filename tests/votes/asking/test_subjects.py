import pyarrow as pa

from roi_ray.votes.asking.subjects import list_names, rank_names
from tests.votes.asking.studies import make_questions


def test_names_are_those_of_questions_that_compare_two():
    table = pa.table(
        {
            "method_a": ["x", "x", "z", None, "", "w"],
            "method_b": ["y", "x", None, "v", "u", "w"],
        }
    )
    assert list_names(table, "method") == {"x", "y"}
    assert list_names(table, "codec") == set()
    assert list_names(table.drop_columns(["method_b"]), "method") == set()


def test_questions_about_the_same_names_have_the_same_lead():
    subject = rank_names(make_questions(methods=3, references=2).table, "method")
    assert subject.lead_rows.tolist() == [0, 1, 2, 0, 1, 2]
    assert subject.x.tolist() == [[1, -1, 0], [1, 0, -1], [0, 1, -1]]
    assert subject.prior.covariance.diagonal().tolist() == [4, 4, 4]
