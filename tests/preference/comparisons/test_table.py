import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.table import (
    read_comparisons,
    table_from_rows,
    write_comparisons,
)

ROWS = {
    "a": ["1/x.jpg", "2/x.jpg"],
    "reference": ["x.png", "x.png"],
    "b": ["2/x.jpg", "1/x.jpg"],
    "p_a": [1, 0.25],
    "mood": ["good", "bad"],
}


def write(path, **changes):
    table = pa.table({name: values for name, values in {**ROWS, **changes}.items() if values})
    pacsv.write_csv(table, path)
    return str(path)


def test_reading_sets_types_group_and_order_of_columns(tmp_path):
    comparisons = read_comparisons(write(tmp_path / "c.csv", rater=[7, 8]))
    columns = ["reference", "a", "b", "p_a", "rater", "group", "mood"]
    assert comparisons.table.column_names == columns
    assert comparisons.table["p_a"].to_pylist() == [1.0, 0.25]
    assert comparisons.table["rater"].to_pylist() == ["7", "8"]
    assert comparisons.table["group"].to_pylist() == [str(tmp_path / "x.png")] * 2
    assert comparisons.base == str(tmp_path)


def test_written_comparisons_read_back_equal(tmp_path):
    first = read_comparisons(write(tmp_path / "c.csv"))
    write_comparisons(str(tmp_path / "c.parquet"), first.table)
    assert read_comparisons(str(tmp_path / "c.parquet")).table.equals(first.table)


def test_given_group_is_kept_and_missing_ones_filled_in(tmp_path):
    table = pa.table({**ROWS, "group": pa.array(["g", None])})
    write_comparisons(str(tmp_path / "c.parquet"), table)
    comparisons = read_comparisons(str(tmp_path / "c.parquet"))
    assert comparisons.table["group"].to_pylist() == ["g", str(tmp_path / "x.png")]


def test_spellings_of_one_reference_are_one_group(tmp_path):
    names = ["x.png", "./x.png", str(tmp_path / "x.png"), "s/../x.png", "y.png"]
    rows = {"reference": names, "a": ["1"] * 5, "b": ["2"] * 5, "p_a": [1.0] * 5}
    pq.write_table(pa.table({**rows, "group": ["", " ", None, None, None]}), tmp_path / "c.parquet")
    groups = read_comparisons(str(tmp_path / "c.parquet")).table["group"].to_pylist()
    assert groups == [str(tmp_path / "x.png")] * 4 + [str(tmp_path / "y.png")]


def test_columns_that_parquet_cannot_hold_are_refused(tmp_path):
    (tmp_path / "c.jsonl").write_text('{"reference":"r","a":"x","b":"y","p_a":1.0,"meta":{}}\n')
    with pytest.raises(ManifestError, match="cannot hold column 'meta'"):
        read_comparisons(str(tmp_path / "c.jsonl"))
    table = pa.table({**ROWS, "error": [["no text"], []]})
    pq.write_table(table, tmp_path / "c.parquet")
    with pytest.raises(ManifestError, match="column 'error' is of type list"):
        read_comparisons(str(tmp_path / "c.parquet"))


def test_labels_are_required_unless_switched_off(tmp_path):
    uri = write(tmp_path / "c.csv", p_a=None)
    assert "p_a" not in read_comparisons(uri, labels=False).table.column_names
    with pytest.raises(ManifestError, match="column 'p_a' is missing"):
        read_comparisons(uri)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"b": None}, "column 'b' is missing"),
        ({"p_a": [0.5, 1.5]}, "row 2 has a 'p_a' of 1.5, not within 0..1"),
        ({"p_a": ["A", "B"]}, "column 'p_a' is of type string, not double"),
        ({"b": ["2/x.jpg", "2/x.jpg"]}, "row 2 compares '2/x.jpg' with itself"),
        ({"b": ["2/x.jpg", "./2/x.jpg"]}, "row 2 compares '2/x.jpg' with itself"),
        ({"a": ["1/x.jpg", " "]}, "row 2 has an empty 'a'"),
        ({"votes": [2.5, 1]}, r"'votes' is of type double, not int32 \(.*2.5"),
        ({"votes": [3, 0]}, "row 2 has 0 'votes'; leave it empty, or give 1 or more"),
    ],
)
def test_error_names_the_row_and_the_fault(tmp_path, changes, text):
    with pytest.raises(ManifestError, match=text):
        read_comparisons(write(tmp_path / "c.csv", **changes))


def test_table_from_rows_fills_missing_keys_with_null():
    rows = [{"reference": "x", "a": "1", "b": "2", "p_a": 1, "votes": 3}]
    table = table_from_rows([*rows, {"reference": "x", "a": "2", "b": "3", "p_a": 0}], "here")
    assert table["votes"].to_pylist() == [3, None]
    with pytest.raises(ManifestError, match="here: no rows"):
        table_from_rows([], "here")


def test_error_column_that_is_not_text_is_refused(tmp_path):
    table = read_comparisons(write(tmp_path / "c.csv")).table.append_column(
        "error", pa.array([0, 0])
    )
    pq.write_table(table, tmp_path / "c.parquet")
    with pytest.raises(ManifestError, match="column 'error' is of type int64, not text"):
        read_comparisons(str(tmp_path / "c.parquet"))
