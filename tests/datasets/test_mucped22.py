import json
from pathlib import Path

import pytest

from roi_ray.datasets.import_report import read_import_report
from roi_ray.datasets.mucped22 import import_mucped22
from roi_ray.errors import ManifestError
from tests.conftest import write

# An evaluation as published, without the objective metrics.
EVALUATION = {
    "crop": [176, 279, 768, 768],
    "greater": "dist_6",
    "image": "edgar-castrejon-J_NbCcGPBOw-unsplash.png",
    "lesser": "dist_17",
    "random_choice": False,
    "rater_time_ms": 75125,
    "image_dims": [1280, 1920],
    "greater_elo": 2137.137225817871,
    "lesser_elo": 1572.2137460449217,
    "rater_flips": 9,
}


def make_data_set(folder: Path, *changes: dict[str, object]) -> str:
    evaluations = [{**EVALUATION, **change} for change in changes]
    write(folder / "evaluations.json", json.dumps(evaluations).encode())
    return str(folder)


def test_greater_image_is_preferred_on_either_side(tmp_path) -> None:
    images = [{"image": f"{i}.png"} for i in range(40)]
    folder = make_data_set(tmp_path, *images)
    table = import_mucped22(folder)
    rows = table.to_pylist()
    assert [row["method_a" if row["p_a"] == 1 else "method_b"] for row in rows] == ["dist_6"] * 40
    assert 8 < sum(row["p_a"] for row in rows) < 32
    row = rows[3]
    assert row["reference"] == row["group"] == f"{folder}/originals/3.png"
    assert row["a"] == f"{folder}/{row['method_a']}/3.png"
    assert row["b"] == f"{folder}/{row['method_b']}/3.png"
    assert {row["method_a"], row["method_b"]} == {"dist_6", "dist_17"}
    assert row["tie"] is False and row["dataset"] == "mucped22"
    crop = [row[name] for name in ("crop_x", "crop_y", "crop_width", "crop_height")]
    assert crop == [176, 279, 768, 768]
    (check,) = read_import_report(table).direction_checks
    assert (check.rows, check.agreement) == (40, 1.0)


def test_random_choice_is_a_tie(tmp_path) -> None:
    table = import_mucped22(make_data_set(tmp_path, {"random_choice": True}))
    assert table["p_a"].to_pylist() == [0.5]
    assert table["tie"].to_pylist() == [True]
    assert read_import_report(table).direction_checks[0].rows == 0


def test_answers_the_study_rejects_are_dropped(tmp_path) -> None:
    folder = make_data_set(
        tmp_path,
        {},
        {"rater_flips": 2},
        {"rater_flips": 3},
        {"rater_time_ms": 2999},
        {"rater_time_ms": 3000},
        {"crop": [-1, 0, 768, 768]},
        {"crop": [513, 0, 768, 768]},
        {"crop": [512, 1152, 768, 768]},
        {"crop": [0, 1153, 768, 768]},
    )
    table = import_mucped22(folder)
    assert table.num_rows == 4
    assert read_import_report(table).dropped == {
        "with fewer than 3 flips": 1,
        "within less than 3000 ms": 1,
        "with a crop outside the image": 3,
    }


def test_missing_elo_scores_leave_nothing_to_check(tmp_path) -> None:
    table = import_mucped22(make_data_set(tmp_path, {"greater_elo": None}))
    assert (
        str(read_import_report(table).direction_checks[0])
        == "nothing to check against the study's Elo scores"
    )


def test_reversed_labels_are_refused(tmp_path) -> None:
    wrong = {"greater": "dist_17", "lesser": "dist_6", "greater_elo": 1500, "lesser_elo": 2100}
    folder = make_data_set(tmp_path, *({**wrong, "image": f"{i}.png"} for i in range(30)))
    with pytest.raises(ManifestError, match=r"only 0\.0% of 30 answers agree with the study's Elo"):
        import_mucped22(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"greater": None}, r"evaluations\.json: row 2 has None for 'greater'"),
        ({"random_choice": "no"}, "row 2 has 'no' for 'random_choice'"),
        ({"crop": [1, 2, 3]}, r"row 2 has \[1, 2, 3\] for 'crop', not 4 whole numbers"),
        ({"lesser": "dist_6"}, "row 2 compares 'dist_6' with itself"),
    ],
)
def test_malformed_evaluation_is_refused(tmp_path, change, message) -> None:
    with pytest.raises(ManifestError, match=message):
        import_mucped22(make_data_set(tmp_path, {}, change))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[", "cannot be read as JSON"),
        (b"{}", "holds no list of evaluations"),
        (b"[1]", "row 1 is not an object"),
        (b"[]", "no comparison in"),
    ],
)
def test_malformed_evaluations_file_is_refused(tmp_path, data, message) -> None:
    write(tmp_path / "evaluations.json", data)
    with pytest.raises(ManifestError, match=message):
        import_mucped22(str(tmp_path))


def test_folder_without_the_data_set_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match=r"holds no evaluations\.json"):
        import_mucped22(str(tmp_path))
