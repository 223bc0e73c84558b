import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import StorageError
from roi_ray.io import parquet_files
from roi_ray.io.parquet_files import write_tables


def test_small_tables_are_merged_into_few_row_groups(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parquet_files, "_ROWS_PER_GROUP", 4)
    tables = (pa.table({"a": [k, k + 1]}).replace_schema_metadata({"x": "y"}) for k in range(5))
    file = tmp_path / "folder/t.parquet"
    assert write_tables(str(file), tables, {"key": "value"}) == 10
    groups = pq.read_metadata(file)
    assert [groups.row_group(k).num_rows for k in range(groups.num_row_groups)] == [4, 4, 2]
    assert pq.read_schema(file).metadata == {b"key": b"value"}
    assert pq.read_table(file)["a"].to_pylist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]


def test_without_rows_no_file_is_written(tmp_path) -> None:
    assert write_tables(str(tmp_path / "t.parquet"), []) == 0
    assert list(tmp_path.iterdir()) == []


def test_place_that_cannot_be_written_is_an_error(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        write_tables(str(tmp_path / "file/t.parquet"), [pa.table({"a": [1]})])
