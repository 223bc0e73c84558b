from pathlib import Path

import pytest

from roi_ray.datasets.import_report import read_import_report
from roi_ray.datasets.pieapp import import_pieapp
from roi_ray.errors import ManifestError
from tests.conftest import write

TRAIN = (
    "ref. image, distorted image A, distorted image B, raw preference for A,"
    " processed preference for A"
)
TEST = "ref. image, distorted image A, distorted image B, preference for A"
BLUR, NOISE = "distort_1_gaussian_blur_inter_0.png", "distort_1_noise_intra_3.png"


def write_labels(folder: Path, *lines: str, split: str = "train", ref: str = "ref_1") -> str:
    path = folder / "labels" / split / f"{ref}_pairwise_labels.csv"
    write(path, "\r\n".join(lines).encode())
    return str(folder)


def test_preference_is_the_share_that_prefers_a(tmp_path) -> None:
    folder = write_labels(
        tmp_path,
        TRAIN,
        f"ref_1.png,{BLUR},{NOISE},0.725,0.7",
        f"ref_1.png,{NOISE},{BLUR},,0.3",
        f"ref_1.png,{NOISE},{BLUR},NaN,0.3",
    )
    rows = import_pieapp(folder).to_pylist()
    assert rows[0] == {
        "reference": f"{folder}/reference_images/train/ref_1.png",
        "a": f"{folder}/distorted_images/train/ref_1/{BLUR}",
        "b": f"{folder}/distorted_images/train/ref_1/{NOISE}",
        "p_a": 0.7,
        "votes": 40,
        "group": f"{folder}/reference_images/train/ref_1.png",
        "split": "train",
        "dataset": "pieapp",
    }
    # Nobody was asked about the other pairs; their preferences are estimates.
    for row in rows[1:]:
        assert row["p_a"] == 0.3 and row["votes"] is None


def test_reference_as_candidate_is_kept_and_checked(tmp_path) -> None:
    folder = write_labels(
        tmp_path,
        TEST,
        f"ref_161.png,ref_161.png,{BLUR},0.975",
        f"ref_161.png,{BLUR},{NOISE},0.25",
        split="test",
        ref="ref_161",
    )
    write(tmp_path / "labels" / "test" / "ref_161_per_image_score.csv", b"other,columns\n")
    table = import_pieapp(folder)
    rows = table.to_pylist()
    assert rows[0]["a"] == rows[0]["reference"]
    assert [row["p_a"] for row in rows] == [0.975, 0.25]
    assert [row["votes"] for row in rows] == [40, 40]
    assert "gold" not in rows[0]
    (check,) = read_import_report(table).direction_checks
    assert (check.rows, check.agreement) == (1, 1.0)


@pytest.mark.parametrize(
    "header",
    [
        "ref.image,distorted image A,distorted image B,raw preference for A,"
        "processed preference for A",
        "processed preference for A,raw preference for A,dist. image B,dist. image A,ref_image",
    ],
)
def test_columns_are_found_by_the_words_in_their_names(tmp_path, header) -> None:
    cells = {"ref": "ref_1.png", "A": BLUR, "B": NOISE, "raw": "0.1", "processed": "0.2"}
    order = ["ref", "A", "B", "raw", "processed"]
    line = ",".join(cells[name] for name in (order if header.startswith("ref") else order[::-1]))
    (row,) = import_pieapp(write_labels(tmp_path, header, line)).to_pylist()
    assert row["a"].endswith(BLUR) and row["b"].endswith(NOISE)
    assert row["p_a"] == 0.2 and row["reference"].endswith("ref_1.png")


def test_reversed_labels_are_refused(tmp_path) -> None:
    lines = [f"ref_1.png,ref_1.png,{i}{BLUR},0.1" for i in range(30)]
    with pytest.raises(ManifestError, match=r"only 0\.0% of 30 answers agree with the reference"):
        import_pieapp(write_labels(tmp_path, TEST, *lines, split="test"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((TRAIN, f"ref_1.png,{BLUR},{NOISE},,1.2"), r"labels\.csv: row 1 has 1\.2 for 'processed"),
        ((TRAIN, f"ref_1.png,{BLUR},{NOISE},,"), "row 1 has no preference"),
        ((TRAIN, f"ref_1.png,{BLUR},{BLUR},,0.5"), "row 1 compares 'distort_1_gaussian"),
        ((TRAIN, f"ref_1.png,{BLUR},{NOISE}"), "row 1 has 3 cells, but the header 5"),
        (("ref. image, distorted image A, preference for A",), "has no column for 'b'"),
        ((TRAIN.split(", raw", maxsplit=1)[0],), "has no column of preferences for A"),
        ((), "has no column for 'reference'"),
        ((TRAIN,), "holds no labels/SPLIT/REF_pairwise_labels.csv with rows"),
    ],
)
def test_malformed_labels_are_refused(tmp_path, lines, message) -> None:
    with pytest.raises(ManifestError, match=message):
        import_pieapp(write_labels(tmp_path, *lines))


def test_folder_without_the_data_set_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match="holds no labels/SPLIT"):
        import_pieapp(str(tmp_path))
