import math
from pathlib import Path
from statistics import NormalDist

import pytest

from roi_ray.datasets.import_report import read_import_report
from roi_ray.datasets.tid2013 import import_tid2013
from roi_ray.errors import ManifestError
from tests.conftest import write


def make_data_set(folder: Path, lines: str, errors: str | None = None) -> str:
    write(folder / "mos_with_names.txt", lines.replace("\n", "\r\n").encode())
    if errors is not None:
        write(folder / "mos_std.txt", errors.encode())
    for name in ("I01.BMP", "I02.BMP", "i25.bmp"):
        write(folder / "reference_images" / name, b"")
    for reference in ("I01", "i02", "I25"):
        for kind in (1, 15, 16, 17):
            for level in range(1, 6):
                write(folder / "distorted_images" / f"{reference}_{kind:02}_{level}.bmp", b"")
    return str(folder)


def test_higher_mos_is_better_and_case_of_names_is_ignored(tmp_path) -> None:
    folder = make_data_set(
        tmp_path, "5.51429 I01_01_1.bmp\n3.86486 i01_01_5.bmp\n4.0 I25_01_1.bmp\n", "0.13\n0.1\n1\n"
    )
    table = import_tid2013(folder)
    (row,) = table.to_pylist()
    certain = NormalDist().cdf((5.51429 - 3.86486) / math.hypot(0.13, 0.1))
    assert row["p_a"] == pytest.approx(certain if "01_1.bmp" in row["a"] else 1 - certain)
    assert row["reference"] == f"{folder}/reference_images/I01.BMP"
    assert {row["a"], row["b"]} == {
        f"{folder}/distorted_images/I01_01_1.bmp",
        f"{folder}/distorted_images/I01_01_5.bmp",
    }
    (check,) = read_import_report(table).direction_checks
    assert (check.rows, check.agreement) == (1, 1.0)


def test_missing_mos_std_uses_the_default_standard_error(tmp_path) -> None:
    lines = "5.0 I01_01_1.bmp\n4.7 I01_01_2.bmp\n4.0 I01_01_3.bmp\n4 I25_01_1.bmp\n3 I25_01_2.bmp\n"
    table = import_tid2013(make_data_set(tmp_path, lines))
    assert len(table) == 4 - 1  # 0.3 is less than two of 0.15 * sqrt(2)
    references = set(table["reference"].to_pylist())
    assert {Path(reference).name for reference in references} == {"I01.BMP", "i25.bmp"}


def scores(kind: int, sign: int) -> str:
    return "".join(
        f"{5 - sign * level} {reference}_{kind:02}_{level}.bmp\n"
        for reference in ("I01", "I02", "I25")
        for level in range(1, 6)
    )


def test_scores_that_rise_with_the_distortion_level_are_refused(tmp_path) -> None:
    assert import_tid2013(make_data_set(tmp_path, scores(1, 1))).num_rows == 30
    with pytest.raises(ManifestError, match=r"tid2013: only 0\.0% of 30 answers agree"):
        import_tid2013(make_data_set(tmp_path, scores(1, -1)))


@pytest.mark.parametrize("kind", [15, 16, 17])
def test_kinds_with_unordered_levels_are_not_checked(tmp_path, kind) -> None:
    assert (
        read_import_report(import_tid2013(make_data_set(tmp_path, scores(kind, -1))))
        .direction_checks[0]
        .rows
        == 0
    )


@pytest.mark.parametrize(
    ("lines", "errors", "message"),
    [
        ("I01_01_1.bmp 5.5\n", None, r"mos_with_names\.txt: row 1 is 'I01_01_1\.bmp 5\.5', which"),
        ("5.5\n", None, "row 1 is '5.5', which is not like"),
        ("\n5 I09_01_1.bmp\n", None, r"row 2 names 'I09_01_1\.bmp', but .*/reference_images has"),
        ("5 I01_02_1.bmp\n", None, r"row 1 names 'I01_02_1\.bmp', but .*/distorted_images has no"),
        ("x I01_01_1.bmp\n", None, "row 1 has 'x' for 'MOS'"),
        ("5 I01_01_1.bmp\n", "1\n2\n", r"mos_std\.txt has 2 lines, but mos_with_names\.txt has 1"),
        ("5 I01_01_1.bmp\n", "-1\n", r"mos_std\.txt: row 1 has a standard error of -1\.0"),
        ("", None, "no comparison in"),
    ],
)
def test_malformed_line_is_refused(tmp_path, lines, errors, message) -> None:
    with pytest.raises(ManifestError, match=message):
        import_tid2013(make_data_set(tmp_path, lines, errors))


def test_folder_without_the_data_set_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match=r"holds no mos_with_names\.txt"):
        import_tid2013(str(tmp_path))
