from pathlib import Path

import pytest

from roi_ray.datasets.clic import import_clic
from roi_ray.datasets.import_report import read_import_report
from roi_ray.errors import ManifestError
from tests.conftest import write


def make_data_set(folder: Path, images: str = "o.png x.png y.png z.png", **files: str) -> str:
    """Write images whose sizes grow in the order given, and CSV files."""
    for size, name in enumerate(images.split()):
        write(folder / name, b"x" * size)
    for name, text in files.items():
        write(folder / f"{name}.csv", text.encode())
    return str(folder)


def test_answer_0_prefers_a(tmp_path) -> None:
    folder = make_data_set(
        tmp_path,
        validation="o.png,x.png,y.png\no.png,y.png,z.png\n",
        oracle="o.png,x.png,y.png,0\no.png,y.png,z.png,1\n",
    )
    table = import_clic(folder)
    rows = table.to_pylist()
    assert rows[0] == {
        "reference": f"{folder}/o.png",
        "a": f"{folder}/x.png",
        "b": f"{folder}/y.png",
        "p_a": 1.0,
        "group": f"{folder}/o.png",
        "split": "validation",
        "dataset": "clic",
        "gold": False,
    }
    assert rows[1]["p_a"] == 0.0
    gold, size = read_import_report(table).direction_checks
    assert gold.rows == 0
    assert (size.rows, size.agreement) == (2, 0.5)


def test_repeated_questions_are_kept_and_counted(tmp_path) -> None:
    asked = "o.png,x.png,y.png,0\n" * 2 + "o.png,y.png,x.png,0\no.png,x.png,z.png,0\n"
    table = import_clic(make_data_set(tmp_path, oracle=asked))
    assert table["p_a"].to_pylist() == [1.0] * 4
    assert read_import_report(table).repeated == 2


def test_same_file_on_both_sides_is_dropped(tmp_path) -> None:
    folder = make_data_set(
        tmp_path, "o.png d/x.png y.png", oracle="o.png,p/x.png,q/x.png,0\no.png,x.png,y.png,1"
    )
    table = import_clic(folder)
    assert len(table) == 1
    assert read_import_report(table).dropped == {"with one image on both sides": 1}


def test_original_as_candidate_is_a_control_question(tmp_path) -> None:
    answers = "o.png,o.png,x.png,0\no.png,x.png,o.png,0\no.png,x.png,y.png,1\n"
    table = import_clic(make_data_set(tmp_path, clic2024_perceptual_image_test_answers=answers))
    assert table["gold"].to_pylist() == [True, True, False]
    assert table["p_a"].to_pylist() == [1.0, 1.0, 0.0]
    assert table["split"].to_pylist() == ["test"] * 3
    gold, _ = read_import_report(table).direction_checks
    assert (gold.rows, gold.agreement) == (2, 0.5)


def test_images_in_folders_of_archives_are_found(tmp_path) -> None:
    answers = "0/o.png,0/x.png,1/y.png,0\n0/o.png,0/x.png,0/gone.png,0\n0/o.png,1/y.png,1/y.png,1\n"
    folder = make_data_set(
        tmp_path, "crops/0/o.png crops/0/x.png crops/1/y.png", some_answers=answers
    )
    table = import_clic(folder)
    assert table["a"].to_pylist() == [f"{folder}/crops/0/x.png"]
    assert table["split"].to_pylist() == [None]
    assert read_import_report(table).dropped == {
        "with an image that is missing": 1,
        "with one image on both sides": 1,
    }


def test_reversed_control_questions_are_refused(tmp_path) -> None:
    answers = "o.png,o.png,x.png,1\no.png,x.png,o.png,0\n" * 10
    with pytest.raises(ManifestError, match=r"only 0\.0% of 20 answers agree with the original"):
        import_clic(make_data_set(tmp_path, a_answers=answers))


def test_disagreement_with_file_sizes_is_accepted(tmp_path) -> None:
    table = import_clic(make_data_set(tmp_path, a_answers="o.png,x.png,y.png,0\n" * 30))
    assert read_import_report(table).direction_checks[1].agreement == 0


def test_answer_files_that_contradict_each_other_are_refused(tmp_path) -> None:
    names = [f"{i}.png" for i in range(25)]
    right = "".join(f"o.png,{name},z.png,{i % 2}\n" for i, name in enumerate(names))
    wrong = "".join(f"o.png,{name},z.png,{1 - i % 2}\n" for i, name in enumerate(names))
    folder = make_data_set(tmp_path, " ".join(["o.png z.png", *names]), oracle=right)
    assert import_clic(folder).num_rows == 25
    write(tmp_path / "data" / "oracle.csv", wrong.encode())
    with pytest.raises(ManifestError, match=r"0\.0% of 25 .* the same questions in other files"):
        import_clic(folder)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"oracle": "O,A,B,T\n"}, r"oracle\.csv: row 1 has the answer 'T'"),
        ({"oracle": "o.png,x.png,y.png,0\no.png,x.png,y.png\n"}, "row 2 has 3 cells, not 4"),
        ({"oracle": "o.png,a.png,b.png,0\n"}, r"all were dropped \(1 with an image that is"),
        ({"validation": "o.png,x.png,y.png\n"}, r"holds no oracle\.csv and no \.\.\._answers\.csv"),
        (
            {"oracle": "o.png,x.png,y.png,0\n", "validation": "o.png,y.png,x.png\n"},
            r"validation\.csv: row 1 has no answer in .*oracle\.csv",
        ),
    ],
)
def test_malformed_row_is_refused(tmp_path, files, message) -> None:
    with pytest.raises(ManifestError, match=message):
        import_clic(make_data_set(tmp_path, **files))
