from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.preference.comparisons.table import read_comparisons

ROWS = {
    "reference": ["x.png", "/d/x.png", "y.png"],
    "a": ["1.jpg", "/d/2.jpg", "3.jpg"],
    "b": ["2.jpg", "/d/1.jpg", "4.jpg"],
    "p_a": [1, 0, 0.5],
}


@pytest.fixture
def make_comparisons(tmp_path):
    """A function that makes three comparisons, with URIs relative to `base` and columns changed."""

    def make(base="/d", **changes):
        pq.write_table(pa.table({**ROWS, **changes}), tmp_path / "c.parquet")
        return replace(read_comparisons(str(tmp_path / "c.parquet")), base=base)

    return make
