import io
from pathlib import Path

import numpy as np
import pytest

from roi_ray.datasets.bapps import import_bapps
from roi_ray.datasets.import_report import read_import_report
from roi_ray.errors import ManifestError
from tests.conftest import write


def npy(values: object, dtype: str = "float32", allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(values, dtype), allow_pickle=allow_pickle)
    return buffer.getvalue()


def write_triplet(folder: Path, name: str, judgement: bytes, parts: str = "ref p0 p1") -> None:
    for part in parts.split():
        write(folder / part / f"{name}.png", b"")
    write(folder / "judge" / f"{name}.npy", judgement)


@pytest.fixture
def root(tmp_path) -> Path:
    write_triplet(tmp_path / "2afc" / "train" / "mix", "000000", npy([0.0]))
    write_triplet(tmp_path / "2afc" / "train" / "mix", "000001", npy([0.5]))
    write_triplet(tmp_path / "2afc" / "val" / "superres", "000000", npy([0.8]))
    return tmp_path


def test_judgement_is_the_share_that_prefers_p1(root) -> None:
    table = import_bapps(str(root))
    rows = table.to_pylist()
    assert [row["p_a"] for row in rows] == pytest.approx([1.0, 0.5, 0.2])
    assert [row["votes"] for row in rows] == [2, 2, 5]
    assert [row["split"] for row in rows] == ["train", "train", "val"]
    mix = f"{root}/2afc/train/mix"
    assert [rows[1][name] for name in ("reference", "a", "b", "dataset")] == [
        f"{mix}/ref/000001.png",
        f"{mix}/p0/000001.png",
        f"{mix}/p1/000001.png",
        "bapps",
    ]
    assert read_import_report(table).direction_checks == ()


def test_folder_2afc_is_accepted_as_the_root(root) -> None:
    rows = import_bapps(str(root / "2afc")).to_pylist()
    assert [row["reference"] for row in rows] == [
        row["reference"] for row in import_bapps(str(root)).to_pylist()
    ]


def test_val_without_train_is_read(tmp_path) -> None:
    write_triplet(tmp_path / "2afc" / "val" / "color", "000000", npy(1.0))
    assert import_bapps(str(tmp_path))["p_a"].to_pylist() == [0.0]


@pytest.mark.parametrize(
    ("judgement", "message"),
    [
        (npy([1.5]), r"000009\.npy does not hold one number within 0\.\.1"),
        (npy([0.5, 0.5]), "does not hold one number"),
        (npy([np.nan]), "does not hold one number"),
        (npy([{}], "object", allow_pickle=True), r"000009\.npy cannot be read as \.npy"),
        (b"", "cannot be read as"),
        (b"0.5", "cannot be read as"),
    ],
)
def test_invalid_judgement_is_refused(root, judgement, message) -> None:
    write_triplet(root / "2afc" / "val" / "superres", "000009", judgement)
    with pytest.raises(ManifestError, match=message):
        import_bapps(str(root))


def test_judgement_without_an_image_is_refused(root) -> None:
    write_triplet(root / "2afc" / "val" / "color", "000003", npy([0.0]), parts="ref p0")
    with pytest.raises(ManifestError, match=r"1 judgements have no image in p1, .* 000003\.npy"):
        import_bapps(str(root))


def test_folder_without_the_data_set_is_refused(tmp_path) -> None:
    with pytest.raises(ManifestError, match="holds neither train nor val"):
        import_bapps(str(tmp_path))
    (tmp_path / "train").mkdir()
    with pytest.raises(ManifestError, match="bapps: no comparison in"):
        import_bapps(str(tmp_path))
