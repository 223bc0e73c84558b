import math
from statistics import NormalDist

import pytest

from roi_ray.datasets.import_report import read_import_report
from roi_ray.datasets.kadid10k import import_kadid10k
from roi_ray.errors import ManifestError
from tests.conftest import write

HEADER = "dist_img,ref_img,dmos,var\n"
# The first rows of the published file.
PUBLISHED = """\
I01_01_01.png,I01.png,4.57,0.496
I01_01_02.png,I01.png,4.33,0.869
I01_01_03.png,I01.png,2.67,0.789
I01_01_04.png,I01.png,1.67,0.596
I01_01_05.png,I01.png,1.1,0.3
I01_02_01.png,I01.png,3.83,0.86
"""


def make_data_set(folder, lines: str) -> str:
    write(folder / "dmos.csv", (HEADER + lines).encode())
    return str(folder)


def test_higher_dmos_is_better(tmp_path) -> None:
    folder = make_data_set(tmp_path, PUBLISHED)
    table = import_kadid10k(folder)
    rows = {frozenset((row["a"], row["b"])): row for row in table.to_pylist()}
    assert len(rows) == 14  # 4.57 and 4.33 differ by 1.3 standard errors
    images = f"{folder}/images"
    row = rows[frozenset((f"{images}/I01_01_01.png", f"{images}/I01_01_05.png"))]
    z = (4.57 - 1.1) / math.hypot(0.496, 0.3) * math.sqrt(30)
    certain = NormalDist().cdf(z)
    assert row["p_a"] == pytest.approx(certain if row["a"].endswith("01.png") else 1 - certain)
    assert row["reference"] == f"{images}/I01.png" and row["dataset"] == "kadid10k"
    (check,) = read_import_report(table).direction_checks
    assert (check.rows, check.agreement) == (9, 1.0)
    assert len(import_kadid10k(folder, 1.0)) == 15


def scores(kind: int, sign: int, references: int = 5) -> str:
    return "".join(
        f"I{r:02}_{kind:02}_{level:02}.png,I{r:02}.png,{3 - sign * (level - 3) / 2},0.5\n"
        for r in range(references)
        for level in range(1, 6)
    )


def test_scores_that_rise_with_the_distortion_level_are_refused(tmp_path) -> None:
    assert import_kadid10k(make_data_set(tmp_path, scores(1, 1))).num_rows == 50
    with pytest.raises(ManifestError, match=r"kadid10k: only 0\.0% of 50 answers agree"):
        import_kadid10k(make_data_set(tmp_path, scores(1, -1)))


@pytest.mark.parametrize("kind", [18, 25])
def test_kinds_with_unordered_levels_are_not_checked(tmp_path, kind) -> None:
    table = import_kadid10k(make_data_set(tmp_path, scores(kind, -1)))
    assert read_import_report(table).direction_checks[0].rows == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("I01_01_01.png,I01.png,high,0.4\n", r"dmos\.csv: row 1 has 'high' for 'dmos'"),
        ("I01_01_01.png,I01.png,4.5,-0.4\n", r"row 1 has -0\.4 for 'var', less than 0"),
        ("I01.png,I01.png,4.5,0.4\n", r"row 1 names 'I01\.png', which is not like"),
        (PUBLISHED[:33] * 2, r"I01_01_01\.png is rated twice"),
        ("", "no comparison in"),
    ],
)
def test_malformed_row_is_refused(tmp_path, line, message) -> None:
    with pytest.raises(ManifestError, match=message):
        import_kadid10k(make_data_set(tmp_path, line))


def test_folder_without_the_data_set_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match=r"holds no dmos\.csv"):
        import_kadid10k(str(tmp_path))
