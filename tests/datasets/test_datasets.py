"""Behaviour that all importers share."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from roi_ray import datasets
from roi_ray.datasets import DATASET_NAMES
from roi_ray.datasets.import_report import read_import_report
from roi_ray.datasets.importers import import_choices, load_importer, takes_standard_errors
from roi_ray.errors import ManifestError, OutputError, UsageError
from roi_ray.preference.comparisons.table import read_comparisons
from tests.conftest import write

SCORES = "dist_img,ref_img,dmos,var\n" + "".join(
    f"I01_01_0{level}.png,I01.png,{5.5 - level},0.5\n" for level in range(1, 6)
)


def test_every_name_has_an_importer_and_every_importer_a_name() -> None:
    assert tuple(sorted(DATASET_NAMES)) == DATASET_NAMES
    for name in DATASET_NAMES:
        assert callable(load_importer(name))
    modules = Path(datasets.__file__).parent.glob("*.py")
    importers = {path.stem for path in modules if f"def import_{path.stem}(" in path.read_text()}
    assert importers == set(DATASET_NAMES)


def test_only_mean_opinion_scores_take_standard_errors() -> None:
    scored = {name for name in DATASET_NAMES if takes_standard_errors(load_importer(name))}
    assert scored == {"kadid10k", "pipal", "tid2013"}


def test_import_writes_comparisons_and_a_summary(tmp_path) -> None:
    write(tmp_path / "kadid" / "dmos.csv", SCORES.encode())
    output = str(tmp_path / "out" / "choices.parquet")
    summary = import_choices("kadid10k", str(tmp_path / "kadid"), output)
    assert (summary.rows, summary.references, summary.ties, summary.gold) == (10, 1, 0, 0)
    assert summary.output == output
    assert summary.report == read_import_report(pq.read_table(output))
    assert read_comparisons(output).table.num_rows == 10
    assert import_choices("kadid10k", str(tmp_path / "kadid"), output, 9.0).rows == 6


def test_summary_counts_ties_and_control_questions(tmp_path) -> None:
    for name in ("o.png", "x.png", "y.png"):
        write(tmp_path / name, b"")
    write(tmp_path / "oracle.csv", b"o.png,x.png,y.png,0\no.png,o.png,y.png,0\n")
    summary = import_choices("clic", str(tmp_path), str(tmp_path / "choices.parquet"))
    assert (summary.rows, summary.ties, summary.gold) == (2, 0, 1)


@pytest.mark.parametrize("name", DATASET_NAMES)
def test_empty_or_missing_folder_is_refused(tmp_path, name) -> None:
    output = tmp_path / "choices.parquet"
    (tmp_path / "data").mkdir()
    for folder in ("data", "none"):
        with pytest.raises(ManifestError, match=r"holds n"):
            import_choices(name, str(tmp_path / folder), str(output))
    assert not output.exists()


def test_unusable_arguments_are_refused(tmp_path) -> None:
    write(tmp_path / "dmos.csv", SCORES.encode())
    output = str(tmp_path / "choices.parquet")
    with pytest.raises(UsageError, match="unknown data set 'kadid'; choose from aic3, bapps"):
        import_choices("kadid", str(tmp_path), output)
    with pytest.raises(OutputError, match=r"choices\.csv does not end in \.parquet"):
        import_choices("kadid10k", str(tmp_path), str(tmp_path / "choices.csv"))
    with pytest.raises(UsageError, match="clic holds single answers, not mean opinion scores"):
        import_choices("clic", str(tmp_path), output, 2.0)
    with pytest.raises(UsageError, match="min_standard_errors is -1"):
        import_choices("kadid10k", str(tmp_path), output, -1.0)
