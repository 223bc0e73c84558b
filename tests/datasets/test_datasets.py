"""The table of importers, and what all of them have in common."""

import pyarrow.parquet as pq
import pytest

from roi_ray import datasets
from roi_ray.datasets.import_report import read_import_report
from roi_ray.datasets.importers import IMPORTERS, SCORED, import_choices
from roi_ray.errors import ManifestError, OutputError
from roi_ray.preference.comparisons import read_comparisons
from tests.conftest import write

SCORES = "dist_img,ref_img,dmos,var\n" + "".join(
    f"I01_01_0{level}.png,I01.png,{5.5 - level},0.5\n" for level in range(1, 6)
)


def test_every_data_set_has_a_name_and_an_importer() -> None:
    assert tuple(IMPORTERS) == datasets.DATASET_NAMES == tuple(sorted(datasets.DATASET_NAMES))
    assert set(SCORED) < set(datasets.DATASET_NAMES)


def test_import_choices(tmp_path) -> None:
    write(tmp_path / "kadid" / "dmos.csv", SCORES.encode())
    output = str(tmp_path / "out" / "choices.parquet")
    summary = import_choices("kadid10k", str(tmp_path / "kadid"), output)
    assert (summary.rows, summary.references, summary.ties, summary.gold) == (10, 1, 0, 0)
    assert summary.output == output
    assert summary.report == read_import_report(pq.read_table(output))
    assert read_comparisons(output).table.num_rows == 10
    assert import_choices("kadid10k", str(tmp_path / "kadid"), output, 9.0).rows == 6


def test_ties_and_control_questions_are_counted(tmp_path) -> None:
    for name in ("o.png", "x.png", "y.png"):
        write(tmp_path / name, b"")
    write(tmp_path / "oracle.csv", b"o.png,x.png,y.png,0\no.png,o.png,y.png,0\n")
    summary = import_choices("clic", str(tmp_path), str(tmp_path / "choices.parquet"))
    assert (summary.rows, summary.ties, summary.gold) == (2, 0, 1)


@pytest.mark.parametrize("name", datasets.DATASET_NAMES)
def test_an_empty_folder_is_of_no_data_set(tmp_path, name) -> None:
    output = tmp_path / "choices.parquet"
    (tmp_path / "data").mkdir()
    for folder in ("data", "none"):
        with pytest.raises(ManifestError, match=r"holds n"):
            import_choices(name, str(tmp_path / folder), str(output))
    assert not output.exists()


def test_unusable(tmp_path) -> None:
    write(tmp_path / "dmos.csv", SCORES.encode())
    output = str(tmp_path / "choices.parquet")
    with pytest.raises(ManifestError, match="no data set 'kadid'; there are aic3, bapps"):
        import_choices("kadid", str(tmp_path), output)
    with pytest.raises(OutputError, match=r"choices\.csv does not end in \.parquet"):
        import_choices("kadid10k", str(tmp_path), str(tmp_path / "choices.csv"))
    with pytest.raises(ManifestError, match="clic is a data set of answers, not of scores"):
        import_choices("clic", str(tmp_path), output, 2.0)
    with pytest.raises(ManifestError, match="min_standard_errors is -1"):
        import_choices("kadid10k", str(tmp_path), output, -1.0)
