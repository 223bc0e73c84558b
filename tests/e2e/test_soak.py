"""Nothing grows while a job runs; `ROI_RAY_SOAK_SECONDS=3600` for an hour of it."""

import os
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Photos
from tests.e2e.conftest import many_small_pairs, run_script

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SECONDS = float(os.environ.get("ROI_RAY_SOAK_SECONDS", "90"))

ARENA = 64
"""MiB: what glibc keeps for a thread besides the heap; in actors seen to fill and to empty at any
time. A pair that left its image behind would take 0.1."""

CONNECTIONS = 4
"""Open files of an actor: one more for each decode process, which Ray starts and ends as it sees
fit. A file left open a chunk would make dozens."""


def test_memory_and_open_files_stay_as_they_are(tmp_path: Path, photos: Photos) -> None:
    manifest = many_small_pairs(tmp_path, photos, 600, height=192)
    # More than can be scored in that time: the same pairs again and again.
    table = pa.concat_tables([pq.read_table(manifest)] * int(1 + SECONDS / 3))
    names = pa.array(map(str, range(len(table))))
    pq.write_table(table.append_column("pair_id", names), manifest)
    output = tmp_path / "scores"
    seen = run_script("soak.py", manifest, output, SECONDS, timeout=SECONDS + 120)
    assert seen["went_on"], "the job ended"
    # The first third warms up. Of the rest, the first half is compared with the second.
    samples = seen["samples"][len(seen["samples"]) // 3 :]
    early, late = samples[: len(samples) // 2], samples[len(samples) // 2 :]
    print(samples[0], samples[-1], sep="\n")
    assert len(early[0]["mib"]) == 2  # the driver and one actor
    assert early[0]["pairs"] < late[-1]["pairs"]
    assert all(sample["spilled"] == 0 for sample in samples)
    for process in early[0]["mib"]:
        before, after = (median(s["mib"][process] for s in half) for half in (early, late))
        allowed = 1.05 * before if process == "driver" else before + ARENA
        assert after <= allowed, (process, before, after)
        before, after = (median(s["files"][process] for s in half) for half in (early, late))
        assert after <= before + CONNECTIONS, (process, before, after)
