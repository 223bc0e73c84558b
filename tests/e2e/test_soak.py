"""Memory and open files of a running job; `ROI_RAY_SOAK_SECONDS=3600` watches it for an hour."""

import os
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Photos
from tests.e2e.conftest import make_many_small_pairs, run_script

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SECONDS = float(os.environ.get("ROI_RAY_SOAK_SECONDS", "30"))

ARENA_MIB = 64
"""glibc keeps an arena of this size per thread, which an actor may fill and empty at any time. One
leaked image per pair would take 0.1 MiB per pair."""

CONNECTIONS = 4
"""An actor has one connection per decode process, and Ray starts and ends those at any time. One
leaked file per chunk would make dozens."""


def test_memory_and_open_files_of_a_job_do_not_grow(tmp_path: Path, photos: Photos) -> None:
    manifest = make_many_small_pairs(tmp_path, photos, 600, height=192)
    # Repeat the pairs under new ids: more than can be scored in that time.
    table = pa.concat_tables([pq.read_table(manifest)] * int(1 + SECONDS / 3))
    pair_ids = pa.array(map(str, range(len(table))))
    pq.write_table(table.append_column("pair_id", pair_ids), manifest)
    output = tmp_path / "scores"
    result = run_script("soak.py", manifest, output, SECONDS, timeout=SECONDS + 600)
    assert result["still_running"], "the job ended"
    # The first half is warm-up, in which an actor on a busy machine still fills its arenas. Of the
    # rest, the first half is compared with the second.
    samples = result["samples"][len(result["samples"]) // 2 :]
    early, late = samples[: len(samples) // 2], samples[len(samples) // 2 :]
    print(samples[0], samples[-1], sep="\n")
    assert len(early[0]["mib"]) == 2  # the driver and one actor
    assert early[0]["pairs"] < late[-1]["pairs"]
    assert all(sample["spilled"] == 0 for sample in samples)
    for process in early[0]["mib"]:
        before, after = (median(s["mib"][process] for s in half) for half in (early, late))
        allowed = 1.05 * before if process == "driver" else before + ARENA_MIB
        assert after <= allowed, (process, before, after)
        before, after = (median(s["files"][process] for s in half) for half in (early, late))
        assert after <= before + CONNECTIONS, (process, before, after)
