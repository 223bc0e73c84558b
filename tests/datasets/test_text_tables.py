import pytest

from roi_ray.datasets import text_tables
from roi_ray.errors import ManifestError, StorageError
from tests.conftest import write


def test_rows_are_stripped_and_numbered_with_blank_lines(tmp_path) -> None:
    uri = write(tmp_path / "x.csv", b'\xef\xbb\xbfa, b\r\n\r\n"c,d",e\n')
    assert text_tables.read_rows(uri) == [(1, ["a", "b"]), (3, ["c,d", "e"])]


def test_row_with_a_wrong_number_of_cells_is_refused(tmp_path) -> None:
    uri = write(tmp_path / "x.csv", b"a,b\na\n")
    with pytest.raises(ManifestError, match=r"x\.csv: row 2 has 1 cells, not 2"):
        text_tables.read_rows(uri, cells=2)


def test_rows_by_column_use_the_header(tmp_path) -> None:
    uri = write(tmp_path / "x.csv", b"b, a\n1,2\n3,4\n")
    assert text_tables.read_rows_by_column(uri, ["a"]) == [
        (1, {"b": "1", "a": "2"}),
        (2, {"b": "3", "a": "4"}),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "column 'a' is missing; there are none"),
        (b"b,c\n1,2\n", "column 'a' is missing; there are 'b', 'c'"),
        (b"a,b\n1,2\n1\n", "row 2 has 1 cells, but the header 2"),
        (b"a\n\xff\n", "is not UTF-8 text"),
        (b'a\n"' + b"x" * 200_000 + b'"\n', "cannot be read as CSV"),
    ],
)
def test_malformed_table_is_refused(tmp_path, data, message) -> None:
    uri = write(tmp_path / "x.csv", data)
    with pytest.raises(ManifestError, match=message):
        text_tables.read_rows_by_column(uri, ["a"])


def test_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(StorageError, match="cannot read"):
        text_tables.read_rows_by_column(str(tmp_path / "x.csv"), [])
    with pytest.raises(ManifestError, match=r"holds no x\.csv \(the answers\); give the folder"):
        text_tables.require_file(str(tmp_path), "x.csv", "the answers")


@pytest.mark.parametrize("cell", ["", "four", "nan", "inf"])
def test_cell_that_is_not_a_number_is_refused(cell) -> None:
    with pytest.raises(ManifestError, match=rf"x\.csv: row 7 has '{cell}' for 'mos'"):
        text_tables.parse_number("x.csv", 7, "mos", cell)


def test_share_outside_0_to_1_is_refused() -> None:
    assert text_tables.parse_share("x.csv", 7, "p", "0.25") == 0.25
    with pytest.raises(ManifestError, match=r"row 7 has 1\.5 for 'p', not within 0\.\.1"):
        text_tables.parse_share("x.csv", 7, "p", "1.5")
