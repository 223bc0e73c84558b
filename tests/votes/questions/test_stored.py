import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import OutputError
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.source import read_questions
from roi_ray.votes.questions.stored import merge_stored, swap_sides
from roi_ray.votes.questions.table import Questions
from tests.votes.questions.score_files import sweep_rows, write_scores


def read(folder, text: str) -> Questions:
    """Read questions of comparisons whose rows are `reference,a,b,psnr_a,psnr_b,gold,p_a`."""
    path = folder / "comparisons.csv"
    path.write_text("reference,a,b,psnr_a,psnr_b,gold,p_a\n" + text)
    return read_questions(str(path), None, VoteOptions())


FIRST = "o,x,y,30,31,false,\no,x,z,30,32,false,\no,y,z,31,32,true,0\n"


def names(questions: Questions) -> list[str]:
    rows = questions.table.to_pylist()
    return [row["a"].split("/")[-1] + row["b"].split("/")[-1] for row in rows]


def test_first_run_stores_the_questions(tmp_path) -> None:
    merged = merge_stored(read(tmp_path, FIRST), str(tmp_path / "study"), "id")
    assert names(merged) == ["xy", "xz", "yz"]
    stored = pq.read_table(tmp_path / "study" / "questions.parquet")
    assert stored.equals(merged.table)
    assert stored.schema.metadata == merged.table.schema.metadata == {b"roi_ray_study": b"id"}


def test_questions_keep_their_row_and_sides_and_get_new_numbers(tmp_path) -> None:
    study = str(tmp_path / "study")
    before = merge_stored(read(tmp_path, FIRST), study, "id")
    later = "o,x,w,30,33,false,\no,z,y,42,41,true,1\no,y,x,41,40,false,\n"
    merged = merge_stored(read(tmp_path, later), study, "id")
    assert names(merged) == ["xy", "xz", "yz", "xw"]
    assert merged.is_open.tolist() == [True, False, True, True]
    assert merged.table["psnr_a"].to_pylist() == [40, 30, 41, 30]
    assert merged.table["psnr_b"].to_pylist() == [41, 32, 42, 33]
    assert merged.table["expected_p_a"].to_pylist() == [None, None, 0.0, None]
    keys = merged.table["question"].to_pylist()
    assert keys[:3] == before.table["question"].to_pylist()
    assert [merged.find(key) for key in keys] == [0, 1, 2, 3]
    again = merge_stored(read(tmp_path, FIRST), study, "id")
    assert names(again) == ["xy", "xz", "yz", "xw"]
    assert again.is_open.tolist() == [True, True, True, False]


def test_questions_of_another_study_are_refused(tmp_path) -> None:
    merge_stored(read(tmp_path, FIRST), str(tmp_path), "id")
    content = (tmp_path / "questions.parquet").read_bytes()
    with pytest.raises(OutputError, match="has the questions of another study, none of which"):
        merge_stored(read(tmp_path, "other,x,y,30,31,false,\n"), str(tmp_path), "id")
    assert (tmp_path / "questions.parquet").read_bytes() == content


def test_a_question_that_was_asked_must_be_known(tmp_path) -> None:
    study, path = str(tmp_path), tmp_path / "questions.parquet"
    first = merge_stored(read(tmp_path, FIRST), study, "id")
    asked = first.table["question"].to_pylist()
    path.unlink()
    questions = read(tmp_path, FIRST.partition("\n")[2])
    message = rf"'{asked[0]}', 1 in all, which are neither in {path} nor in the source"
    with pytest.raises(OutputError, match=message):
        merge_stored(questions, study, "id", asked)
    assert not path.exists()
    assert len(merge_stored(read(tmp_path, FIRST), study, "id", asked)) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no table", "the questions of earlier runs cannot be read"),
        (b"", "is empty"),
        (pa.table({"reference": ["o"]}), "has no column 'a': it has no questions of a study"),
    ],
)
def test_file_that_has_no_questions_is_refused(tmp_path, content, message) -> None:
    path = tmp_path / "questions.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(content, path)
    with pytest.raises(OutputError, match=message):
        merge_stored(read(tmp_path, FIRST), str(tmp_path), "id")


def test_questions_of_scores_are_the_same_in_the_next_run(tmp_path) -> None:
    scores = write_scores(tmp_path, sweep_rows())
    options = VoteOptions(max_questions=60)
    first = merge_stored(read_questions(None, scores, options), str(tmp_path / "study"), "id")
    second = merge_stored(read_questions(None, scores, options), str(tmp_path / "study"), "id")
    assert second.table.equals(first.table)
    assert second.is_open.all()


def test_more_scores_add_questions_and_close_those_not_chosen_again(tmp_path) -> None:
    options, study = VoteOptions(max_questions=60), str(tmp_path / "study")
    scores = write_scores(tmp_path, sweep_rows())
    first = merge_stored(read_questions(None, scores, options), study, "id")
    scores = write_scores(tmp_path, sweep_rows(originals=5))
    second = merge_stored(read_questions(None, scores, options), study, "id")
    assert second.table["question"].to_pylist()[: len(first)] == first.table["question"].to_pylist()
    assert len(second) > len(first)
    assert not second.is_open[: len(first)].all()


def test_sides_are_swapped_back_by_a_second_swap(tmp_path) -> None:
    table = read(tmp_path, FIRST).table
    mask = pa.array([True, False, True]).to_numpy(zero_copy_only=False)
    assert not swap_sides(table, mask).equals(table)
    assert swap_sides(swap_sides(table, mask), mask).equals(table)
