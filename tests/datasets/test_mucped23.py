from pathlib import Path

import numpy as np
import pytest

from roi_ray.datasets.import_report import read_import_report
from roi_ray.datasets.mucped23 import import_mucped23
from roi_ray.errors import ManifestError
from tests.conftest import encode, write

REAL = Path(__file__).parents[3] / "shared" / "data" / "mucped23"
LOW, HIGH, OTHER = "libjpeg-turbo-q30-yuv420", "libjpeg-turbo-q90-yuv444", "jpegli-q60-yuv420"


def make_data_set(folder: Path, answers: str, names: tuple[str, ...] = ("1", "2")) -> str:
    """Write the study's folder with images of noise, whose bit rates follow the quality."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 16, 3), np.uint8)
    for name in names:
        write(folder / "originals" / f"{name}.png", encode(noise))
        for method, quality in ((LOW, 30), (HIGH, 90), (OTHER, 60)):
            write(folder / method / f"{name}.jpg", encode(noise, "JPEG", quality=quality))
    write(folder / "answers.csv", f"methodA,methodB,originalName,answerValue\n{answers}".encode())
    return str(folder)


def test_answer_names_the_worse_image(tmp_path) -> None:
    folder = make_data_set(tmp_path, f"{LOW},{HIGH},1,A\n{HIGH},{OTHER},2,B\n{LOW},{OTHER},2,B\n")
    table = import_mucped23(folder)
    rows = table.to_pylist()
    assert [row["p_a"] for row in rows] == [0.0, 1.0, 1.0]
    assert rows[0] == {
        "reference": f"{folder}/originals/1.png",
        "a": f"{folder}/{LOW}/1.jpg",
        "b": f"{folder}/{HIGH}/1.jpg",
        "p_a": 0.0,
        "group": f"{folder}/originals/1.png",
        "dataset": "mucped23",
        "bpp_a": 8 * (tmp_path / LOW / "1.jpg").stat().st_size / (24 * 16),
        "bpp_b": 8 * (tmp_path / HIGH / "1.jpg").stat().st_size / (24 * 16),
        "codec_a": "libjpeg-turbo",
        "codec_b": "libjpeg-turbo",
        "method_a": LOW,
        "method_b": HIGH,
    }
    assert rows[1]["codec_b"] == "jpegli"
    rate, quality = read_import_report(table).direction_checks
    assert (rate.rows, rate.agreement) == (3, 2 / 3)
    assert (quality.rows, quality.agreement) == (1, 1.0)


def test_originals_of_one_scene_have_one_group(tmp_path) -> None:
    names = ("844297", "3316926_opo25u", "1")
    answers = "".join(f"{LOW},{HIGH},{name},A\n" for name in names)
    table = import_mucped23(make_data_set(tmp_path, answers, names))
    groups = [group.rsplit("/", 1)[-1] for group in table["group"].to_pylist()]
    assert groups == ["844297.png", "844297.png", "1.png"]


def test_decoded_images_have_no_bit_rate(tmp_path) -> None:
    folder = make_data_set(tmp_path, f"{LOW},{HIGH},1,A\n")
    for method in (LOW, HIGH):
        (tmp_path / method / "1.jpg").rename(tmp_path / method / "1.png")
    table = import_mucped23(folder)
    (row,) = table.to_pylist()
    assert row["a"].endswith("1.png") and row["bpp_a"] is None
    assert [check.rows for check in read_import_report(table).direction_checks] == [0, 1]


def test_reversed_labels_are_refused(tmp_path) -> None:
    wrong = f"{LOW},{HIGH},1,B\n{HIGH},{LOW},2,A\n" * 15
    with pytest.raises(ManifestError, match=r"mucped23: only 0\.0% of 30 answers agree with bit"):
        import_mucped23(make_data_set(tmp_path, wrong))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (f"{LOW},{HIGH},1,A\n{LOW},{HIGH},1,C\n", r"answers\.csv: row 2 has 'C' for 'answerValue'"),
        (f"{LOW},{HIGH},3,A\n", r"row 1 names originals/3, but there is no such \.jpg or \.png"),
        (f"{LOW},webp-q80,1,A\n", "row 1 names webp-q80/1, but there is no such"),
        (f"{LOW},{LOW},1,A\n", "row 1 compares 'libjpeg-turbo-q30-yuv420' with itself"),
        (f"{LOW},{HIGH},1\n", "row 1 has 3 cells, but the header 4"),
        ("", "no comparison in"),
    ],
)
def test_malformed_row_is_refused(tmp_path, answers, message) -> None:
    with pytest.raises(ManifestError, match=message):
        import_mucped23(make_data_set(tmp_path, answers))


def test_folder_without_the_data_set_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match=r"holds no answers\.csv"):
        import_mucped23(str(tmp_path))


def test_broken_image_is_refused(tmp_path) -> None:
    folder = make_data_set(tmp_path, f"{LOW},{HIGH},1,A\n")
    write(tmp_path / LOW / "1.jpg", b"")
    with pytest.raises(ManifestError, match=r"1\.jpg is not a readable image"):
        import_mucped23(folder)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the study's answers and images are not in {REAL}")
def test_published_answers_agree_with_bit_rate_and_quality() -> None:
    table = import_mucped23(str(REAL))
    assert table.num_rows == 10173
    assert set(table["codec_a"].to_pylist()) == {"mozjpeg", "libjpeg-turbo", "jpegli"}
    assert table["bpp_a"].null_count == 0
    rate, quality = read_import_report(table).direction_checks
    assert rate.rows > 10000 and rate.agreement > 0.6
    assert quality.rows > 3000 and quality.agreement > 0.6
