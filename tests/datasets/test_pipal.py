from pathlib import Path
from statistics import NormalDist

import pytest

from roi_ray.datasets.import_report import read_import_report
from roi_ray.datasets.pipal import import_pipal
from roi_ray.errors import ManifestError
from tests.conftest import write


def make_data_set(folder: Path, lines: str, *, label: str = "Train_Label", parts: int = 2) -> str:
    write(folder / label / "A0001.txt", lines.encode())
    write(folder / "Train_Ref" / "A0001.bmp", b"")
    for index in range(4):
        part = f"Distortion_{1 + index % 2}" if parts == 2 else "Train_Dist"
        write(folder / part / f"A0001_00_{index:02}.bmp", b"")
    return str(folder)


def test_higher_elo_score_is_better(tmp_path) -> None:
    lines = "A0001_00_00.bmp,1520.0\nA0001_00_01.bmp,1400.0\nA0001_00_02.bmp,1450.0\n"
    folder = make_data_set(tmp_path, lines)
    table = import_pipal(folder)
    # 120 points are more than two of 40 * sqrt(2); 70 and 50 are not.
    (row,) = table.to_pylist()
    certain = NormalDist().cdf(120 / (40 * 2**0.5))
    assert row["p_a"] == pytest.approx(certain if row["a"].endswith("00.bmp") else 1 - certain)
    assert row["reference"] == f"{folder}/Train_Ref/A0001.bmp"
    assert {row["a"], row["b"]} == {
        f"{folder}/Distortion_1/A0001_00_00.bmp",
        f"{folder}/Distortion_2/A0001_00_01.bmp",
    }
    assert read_import_report(table).direction_checks[0].rows == 0
    assert len(import_pipal(folder, 1.0)) == 2


def test_folder_names_of_other_copies_are_found(tmp_path) -> None:
    lines = "A0001_00_00.bmp,1520.0\nA0001_00_01.bmp,1400.0\n"
    folder = make_data_set(tmp_path, lines, label="train_labels", parts=1)
    assert import_pipal(folder)["a"].to_pylist()[0].startswith(f"{folder}/Train_Dist/")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("A0001_00_00.bmp 1520.0\n", r"A0001\.txt: row 1 has 1 cells, not 2"),
        ("A0001_00_00.bmp,many\n", "row 1 has 'many' for 'Elo score'"),
        (
            "A0001_00_00.bmp,1\nA0001_09_00.bmp,1\n",
            r"row 2 names 'A0001_09_00\.bmp', which is in no",
        ),
        ("", "no comparison in"),
    ],
)
def test_malformed_line_is_refused(tmp_path, lines, message) -> None:
    with pytest.raises(ManifestError, match=message):
        import_pipal(make_data_set(tmp_path, lines))


def test_folder_without_the_data_set_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match="holds no folder Train_Label"):
        import_pipal(str(tmp_path))
    (tmp_path / "Train_Label").mkdir()
    with pytest.raises(ManifestError, match="holds no folder Train_Ref"):
        import_pipal(str(tmp_path))


def test_missing_reference_is_refused(tmp_path) -> None:
    folder = make_data_set(tmp_path, "A0001_00_00.bmp,1520.0\n")
    write(tmp_path / "Train_Label" / "A0002.txt", b"A0001_00_00.bmp,1520.0\n")
    with pytest.raises(ManifestError, match=r"A0002\.txt has no reference"):
        import_pipal(folder)
