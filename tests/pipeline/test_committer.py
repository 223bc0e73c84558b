import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.errors import AccessError, DeviceError, OutputError, WeightsError
from roi_ray.pipeline.committer import Committer, drop_kinds, select_kind
from roi_ray.pipeline.kind import ROW, SHARD
from roi_ray.pipeline.score_kind import RESULTS
from roi_ray.runtime.logs import FirstFailures
from roi_ray.runtime.progress import ProgressReporter
from roi_ray.schema import Failure
from tests.pipeline.test_output import make_output, manifest

PLAN = {0: np.array([0, 2, 1]), 1: np.array([3, 4])}


def results(shard, rows, failure=None):
    records = [
        {SHARD: shard, ROW: row}
        | (
            {"mse": row / 8}
            if failure is None
            else {schema.ERROR_KIND: failure.kind, schema.ERROR: failure.text}
        )
        for row in rows
    ]
    return pa.Table.from_pylist(records, RESULTS)


@pytest.fixture
def committer(tmp_path):
    with ProgressReporter(5) as progress, make_output(tmp_path).lock() as writer:
        yield Committer(manifest(range(5)), PLAN, writer, FirstFailures(), progress)


def committed(folder):
    return {path.name: pq.read_table(path) for path in sorted(folder.glob("*.parquet"))}


def test_shard_is_committed_with_its_last_row_in_the_order_of_the_plan(committer, tmp_path):
    committer.add(pa.concat_tables([results(1, [4]), results(0, [1])]))
    committer.add(results(0, [2]))
    assert committed(tmp_path) == {}
    missing = committer.rows_without_result()
    assert {shard: rows.tolist() for shard, rows in missing.items()} == {0: [0], 1: [3]}
    committer.add(results(0, [0]))
    (table,) = committed(tmp_path).values()
    assert table["pair_id"].to_pylist() == ["p0", "p2", "p1"]
    assert table["mse"].to_pylist() == [0, 0.25, 0.125]
    assert list(committer.rows_without_result()) == [1]


def test_lost_rows_become_worker_died_errors(committer, tmp_path):
    committer.add(results(0, [0, 2]))
    committer.mark_lost_rows()
    first, second = committed(tmp_path).values()
    assert first[schema.ERROR_KIND].to_pylist() == [None, None, "WorkerDied"]
    assert second[schema.ERROR_KIND].to_pylist() == ["WorkerDied"] * 2
    assert set(second[schema.ERROR].to_pylist()) == {
        "the process that scored this pair was killed each time"
    }
    assert committer.rows_without_result() == {}
    assert committer.failed == 3


def test_results_for_other_rows_are_refused(committer, tmp_path):
    with pytest.raises(OutputError, match="shard 1 got results for other rows"):
        committer.add(results(1, [3, 3]))
    assert committed(tmp_path) == {}


@pytest.mark.parametrize("kind", [AccessError, DeviceError, WeightsError])
def test_error_that_would_fail_every_row_stops_the_job(committer, tmp_path, kind):
    with pytest.raises(kind, match="^the key has expired$"):
        committer.add(results(1, [3, 4], Failure(kind.__name__, "the key has expired")))
    assert committed(tmp_path) == {}


def test_rows_are_dropped_and_selected_by_error_kind():
    table = pa.concat_tables([results(0, [0]), results(0, [1], Failure("AccessError", "no"))])
    assert drop_kinds(table, ["AccessError"])[ROW].to_pylist() == [0]
    assert drop_kinds(table, ["OutputError"])[ROW].to_pylist() == [0, 1]
    assert select_kind(table, "AccessError")[ROW].to_pylist() == [1]
    assert select_kind(table, "OutputError")[ROW].to_pylist() == []


def test_results_that_arrive_twice_count_once(committer, tmp_path):
    committer.add(results(0, [2, 1]))
    committer.add(results(0, [1, 2]))
    assert committed(tmp_path) == {}
    committer.add(results(0, [1, 0]))
    committer.add(results(0, [0, 2]))  # after the shard is committed
    (table,) = committed(tmp_path).values()
    assert table["pair_id"].to_pylist() == ["p0", "p2", "p1"]
    assert list(committer.rows_without_result()) == [1]
