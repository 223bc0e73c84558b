import pyarrow.parquet as pq
import pytest

from roi_ray.datasets.account import Account, account_of, table_of
from roi_ray.datasets.polarity import Polarity
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons import read_comparisons, write_comparisons

ACCOUNT = Account(
    "set",
    "/data/set",
    {"skipped": 3, "broken": 0},
    repeated=2,
    polarity=(Polarity("size", 10, 0.7), Polarity("level", 0, None)),
    settings={"min_standard_errors": 2.0},
)


def test_an_account_travels_with_the_comparisons(tmp_path) -> None:
    row = {"reference": "o", "a": "x", "b": "y", "p_a": 1.0}
    # The same question twice more, once turned round; and another one.
    rows = [row, row, {**row, "a": "y", "b": "x"}, {**row, "a": "z"}]
    table = table_of(rows, ACCOUNT)
    assert table.slice(0, 1).to_pylist() == [{**row, "group": "o", "dataset": "set"}]
    uri = str(tmp_path / "choices.parquet")
    write_comparisons(uri, table)
    assert account_of(pq.read_table(uri)) == ACCOUNT
    assert read_comparisons(uri).table.num_rows == 4


def test_no_rows() -> None:
    with pytest.raises(ManifestError, match=r"set: no comparison in /data/set: .*\(3 skipped\)"):
        table_of([], ACCOUNT)
    with pytest.raises(ManifestError, match="its tables have no rows"):
        table_of([], Account("set", "/data/set"))
