"""Scores on a real S3 server, of which only the columns that are needed are read."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.decision.decide import decide
from roi_ray.io import storage
from tests.decision.sweep_tables import make_rows
from tests.s3_server import BUCKET


@pytest.mark.usefixtures("s3_in_this_process")
def test_scores_are_decided_from_s3() -> None:
    rows = make_rows({"jpeg": 1.0, "webp": 0.8})
    uri = f"s3://{BUCKET}/scores-to-decide"
    for number in range(3):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows[number::3]), sink)
        storage.write_bytes(f"{uri}/{number}.parquet", sink.getvalue().to_pybytes())
    decision = decide(uri, model=None, group_by=["content"])
    saving = decision.savings["webp", "ms_ssim"]
    assert saving.valid == 8 and saving.mean.value == pytest.approx(-20)
    assert len(decision.groups) == 2
    (row,) = decision.scores.read_rows([0])
    assert row["distorted"] == rows[0]["distorted"]
    assert np.isfinite(decision.scores.bit_rates("jpeg")).all()
