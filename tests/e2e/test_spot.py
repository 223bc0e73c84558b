"""Machines are lost and others come, as those of a spot market do."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import Photos
from tests.e2e.conftest import check_scores, many_small_pairs, run_script

pytestmark = [pytest.mark.e2e, pytest.mark.long]

PAIRS = int(os.environ.get("ROI_RAY_PAIRS", "240"))
"""With a thousand, nodes are lost six times, and an undisturbed run beside it is timed."""


def test_lost_nodes_lose_and_double_nothing(tmp_path: Path, photos: Photos) -> None:
    pairs, losses = PAIRS, 2 if PAIRS < 1000 else 6
    manifest = many_small_pairs(tmp_path, photos, pairs, height=96)
    seen = run_script("spot.py", manifest, tmp_path / "scores", losses, timeout=500)
    assert (seen["rows"], seen["failed"]) == (pairs, 0), seen
    assert len(seen["losses"]) == losses
    assert seen["losses"][-1] < pairs
    if losses > 2:
        undisturbed = run_script("spot.py", manifest, tmp_path / "undisturbed", 0, timeout=500)
        assert undisturbed["scored"] == pairs
        print(f"undisturbed: {undisturbed}\nwith losses: {seen}")

    rows = pq.read_table(tmp_path / "scores").to_pylist()
    assert len({row["pair_id"] for row in rows}) == len(rows) == pairs
    check_scores(rows, tmp_path)
