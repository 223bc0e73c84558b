"""Digests of rows."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from roi_ray.pipeline import stored_rows
from roi_ray.pipeline.stored_rows import digest_rows


@pytest.mark.parametrize(
    "columns",
    [
        {"a": ["x", "xy"], "b": ["yz", "z"]},
        {"a": [None, "None"], "b": ["", ""]},
        {"a": [None, ""], "b": ["", None]},
        {"a": [0.3, 0.1 + 0.2], "b": [1, 1]},
        {"a": [[1, 2], [1]], "b": [[3], [2, 3]]},
        {"a": [{"x": 1}, {"x": None}], "b": [None, None]},
        {"a": [datetime.datetime(2026, 1, 1, microsecond=k) for k in (1, 2)], "b": [True, True]},
        {"a": [b"\x00", b"\x00\x00"], "b": [b"\x00", b""]},
    ],
)
def test_different_rows_have_different_digests_and_equal_rows_equal_ones(columns) -> None:
    table = pa.table(columns)
    first, second = digest_rows(table)
    assert len(first) <= 16
    assert first != second
    again = digest_rows(table.take([1, 0, 1]))
    assert again.tolist() == [second, first, second]


def test_digests_do_not_depend_on_chunks_or_batches(monkeypatch) -> None:
    table = pa.table({"a": list(range(10)), "b": list("abcdefghij")})
    whole = digest_rows(table)
    monkeypatch.setattr(stored_rows, "_ROWS_PER_BATCH", 3)
    chunked = pa.concat_tables([table.slice(0, 4), table.slice(4)])
    assert np.array_equal(digest_rows(chunked), whole)
    assert len(set(whole.tolist())) == 10
    assert digest_rows(table.slice(0, 0)).shape == (0,)
