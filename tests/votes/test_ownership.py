"""Files of other studies, and of nobody, are not replaced."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import OutputError
from roi_ray.votes.ownership import check_owner, mark_table

TABLE = pa.table({"p_a": [1.0]}).replace_schema_metadata({"pandas": "{}"})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "comparisons.parquet"


def test_a_missing_file_may_be_written(path) -> None:
    check_owner(str(path), "id")
    check_owner(str(path), None)


def test_a_study_replaces_its_own_files(path) -> None:
    pq.write_table(mark_table(TABLE, "id"), path)
    check_owner(str(path), "id")


@pytest.mark.parametrize("study", ["id", None])
@pytest.mark.parametrize("content", [TABLE, mark_table(TABLE, "other"), b"p_a\n1\n", b""])
def test_files_of_others_are_refused_and_stay(path, study, content) -> None:
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content)
    with pytest.raises(OutputError, match=rf"{path} is not of this study, which would replace it"):
        check_owner(str(path), study)
    assert path.exists()
