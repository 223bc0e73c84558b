import itertools
import json
import threading
import time
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.errors import OutputError, StorageError
from roi_ray.io import storage
from roi_ray.io.lock import OutputLock
from roi_ray.pipeline.status import read_status
from tests.pipeline.outputs import ERRORS, write_manifest, write_output

pytestmark = pytest.mark.usefixtures("fast_lock")


@pytest.fixture
def manifest(tmp_path):
    return write_manifest(tmp_path / "sweep")


def test_status_counts_done_failed_and_missing_pairs(tmp_path, manifest) -> None:
    failed = ["y/0.jpg", "y/3.jpg", "y/2.jpg"]
    uri = write_output(str(tmp_path / "scores"), manifest, [0, 1, 3], failed)
    status = read_status(uri)
    assert (status.rows, status.done, status.failed, status.missing) == (10, 6, 3, 4)
    assert status.shards == {0: 2, 1: 2, 3: 2}
    kinds = {name: (kind.rows, kind.examples) for name, kind in status.kinds.items()}
    assert kinds == {
        "ImageReadError": (2, [ERRORS[0].text, ERRORS[2].text]),
        "SizeMismatch": (1, [ERRORS[1].text]),
    }
    assert list(kinds) == ["ImageReadError", "SizeMismatch"]
    assert status.writer is None
    assert status.foreign == []
    assert status.run["manifest"] == {
        "given": manifest,
        "uri": manifest,
        "base": str(tmp_path / "sweep"),
    }


def test_status_keeps_at_most_three_examples_per_kind(tmp_path) -> None:
    manifest = write_manifest(tmp_path / "sweep", 40)
    failed = [f"y/{row}.jpg" for row in range(40)]
    status = read_status(write_output(str(tmp_path / "scores"), manifest, range(20), failed))
    assert status.failed == sum(kind.rows for kind in status.kinds.values()) == 40
    assert {len(kind.examples) for kind in status.kinds.values()} == {3}


def test_output_without_shards_has_all_pairs_missing(tmp_path, manifest) -> None:
    status = read_status(write_output(str(tmp_path / "scores"), manifest, []))
    assert (status.done, status.missing, status.jobs) == (0, 10, [])


def test_speed_of_each_job_is_read_from_its_files(tmp_path, manifest) -> None:
    uri = str(tmp_path / "scores")
    write_output(uri, manifest, [0, 1])
    time.sleep(0.2)  # no job runs
    write_output(uri, manifest, [2])
    first, second = read_status(uri).jobs
    assert (first.rows, second.rows) == (4, 2)
    assert first.last < second.started - timedelta(seconds=0.2)
    assert first.seconds == (first.last - first.started).total_seconds() > 0
    assert first.speed == pytest.approx(4 / first.seconds)


def test_torn_and_foreign_files_are_listed_and_not_counted(tmp_path, manifest) -> None:
    uri = write_output(str(tmp_path / "scores"), manifest, range(5))
    other = write_output(str(tmp_path / "other"), manifest, [1], shard_size=3)
    torn, empty, foreign, alien = (
        tmp_path / "scores" / f"shard-00000{k}.parquet" for k in range(4)
    )
    torn.write_bytes(torn.read_bytes()[:-40])
    empty.write_bytes(b"")
    foreign.write_bytes((tmp_path / "other" / "shard-000001.parquet").read_bytes())
    pq.write_table(pa.table({"x": [1]}), alien)
    (tmp_path / "scores" / "notes.parquet").write_bytes(b"not named as a shard")
    whole = tmp_path / "scores" / "shard-000004.parquet"
    again = whole.with_name("shard-0000004.parquet")
    again.write_bytes(whole.read_bytes())
    status = read_status(uri)
    assert status.foreign == [str(path) for path in (torn, again, empty, foreign, alien)]
    assert (status.done, status.missing, status.shards) == (2, 8, {4: 2})
    assert read_status(other).foreign == []


def test_status_names_the_job_that_is_writing(tmp_path, manifest) -> None:
    uri = write_output(str(tmp_path / "scores"), manifest, [0])
    lock_file = tmp_path / "scores" / "_run" / "lock.json"
    with OutputLock(str(lock_file)):
        assert read_status(uri).writer.startswith("a job on ")
    dead = {"owner": "x", "host": "elsewhere", "machine": "m", "pid": 7, "heartbeat": 3}
    lock_file.write_text(json.dumps(dead))
    assert read_status(uri).writer is None

    is_over = threading.Event()

    def write_heartbeats() -> None:
        for beat in itertools.count(4):
            if is_over.wait(0.05):
                return
            storage.write_bytes(str(lock_file), json.dumps({**dead, "heartbeat": beat}).encode())

    alive = threading.Thread(target=write_heartbeats)
    alive.start()
    try:
        assert read_status(uri).writer == "a job on elsewhere (process 7)"
    finally:
        is_over.set()
        alive.join()


def test_folder_without_a_valid_run_record_is_refused(tmp_path) -> None:
    with pytest.raises(OutputError, match=r"nowhere has no _run/run.json"):
        read_status(str(tmp_path / "nowhere"))
    (tmp_path / "_run").mkdir()
    for text in ("", "[]", "{}", '{"config": {"manifest": {}}}'):
        (tmp_path / "_run" / "run.json").write_text(text)
        with pytest.raises(OutputError, match=r"run.json is not a record of `roi-ray score`"):
            read_status(str(tmp_path))


def test_location_of_a_moved_manifest_is_updated(tmp_path, manifest) -> None:
    uri = write_output(str(tmp_path / "scores"), manifest, [0])
    begun = read_status(uri).run["started"]
    moved = tmp_path / "sweep" / "m.parquet"
    moved = moved.rename(tmp_path / "moved.parquet")
    write_output(uri, str(moved), [1])
    run = read_status(uri).run
    assert run["manifest"]["uri"] == str(moved)
    assert run["started"] == begun
    assert read_status(uri).done == 4


def test_error_names_the_shard_damaged_outside_its_footer(tmp_path) -> None:
    manifest = write_manifest(tmp_path)
    uri = write_output(str(tmp_path / "scores"), manifest, [0, 1], failed=["y/1.jpg"])
    file = tmp_path / "scores" / "shard-000000.parquet"
    data = bytearray(file.read_bytes())
    length = int.from_bytes(data[-8:-4], "little")
    data[4 : -8 - length] = b"x" * (len(data) - 12 - length)
    file.write_bytes(data)
    with pytest.raises(StorageError, match=r"shard-000000.parquet is damaged \(.*\): delete it"):
        read_status(uri)
