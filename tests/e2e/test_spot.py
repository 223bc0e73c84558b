"""A job whose worker nodes are lost and replaced, as on spot instances."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import Photos
from tests.e2e.conftest import check_scores, make_many_small_pairs, run_script

pytestmark = [pytest.mark.e2e, pytest.mark.long]

PAIRS = int(os.environ.get("ROI_RAY_PAIRS", "160"))
"""With 1,000 or more, six nodes are lost, and a run without losses is timed for comparison."""


def test_lost_nodes_neither_lose_nor_duplicate_rows(tmp_path: Path, photos: Photos) -> None:
    pairs, losses = PAIRS, 1 if PAIRS < 1000 else 6
    manifest = make_many_small_pairs(tmp_path, photos, pairs, height=96)
    result = run_script("spot.py", manifest, tmp_path / "scores", losses, timeout=500)
    assert (result["rows"], result["failed"]) == (pairs, 0), result
    assert len(result["losses"]) == losses
    assert result["losses"][-1] < pairs
    if losses > 1:
        undisturbed = run_script("spot.py", manifest, tmp_path / "undisturbed", 0, timeout=500)
        assert undisturbed["scored"] == pairs
        print(f"undisturbed: {undisturbed}\nwith losses: {result}")

    rows = pq.read_table(tmp_path / "scores").to_pylist()
    assert len({row["pair_id"] for row in rows}) == len(rows) == pairs
    check_scores(rows, tmp_path)
