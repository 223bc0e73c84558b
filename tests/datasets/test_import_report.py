import pyarrow.parquet as pq
import pytest

from roi_ray.datasets.import_report import ImportReport, build_comparisons, read_import_report
from roi_ray.datasets.label_direction import DirectionCheck
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.table import read_comparisons, write_comparisons

REPORT = ImportReport(
    "set",
    "/data/set",
    {"skipped": 3, "broken": 0},
    repeated=2,
    direction_checks=(DirectionCheck("size", 10, 0.7), DirectionCheck("level", 0, None)),
    settings={"min_standard_errors": 2.0},
)


def test_report_survives_a_round_trip_through_parquet(tmp_path) -> None:
    row = {"reference": "o", "a": "x", "b": "y", "p_a": 1.0}
    # The same question three times, once with its sides swapped, and another question.
    rows = [row, row, {**row, "a": "y", "b": "x"}, {**row, "a": "z"}]
    table = build_comparisons(rows, REPORT)
    assert table.slice(0, 1).to_pylist() == [{**row, "group": "o", "dataset": "set"}]
    uri = str(tmp_path / "choices.parquet")
    write_comparisons(uri, table)
    assert read_import_report(pq.read_table(uri)) == REPORT
    assert read_comparisons(uri).table.num_rows == 4


def test_error_of_an_empty_import_lists_dropped_rows() -> None:
    with pytest.raises(ManifestError, match=r"set: no comparison in /data/set: .*\(3 skipped\)"):
        build_comparisons([], REPORT)
    with pytest.raises(ManifestError, match="its tables have no rows"):
        build_comparisons([], ImportReport("set", "/data/set"))
