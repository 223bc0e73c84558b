import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.errors import AccessError, OutputError
from roi_ray.pipeline.committer import Committer, without
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.plan import SHARD
from roi_ray.pipeline.score_stage import RESULTS, ROW
from roi_ray.runtime.logs import FirstFailures
from roi_ray.runtime.progress import ProgressReporter
from tests.pipeline.test_output import CONFIG, manifest

PLAN = {0: np.array([0, 2, 1]), 1: np.array([3, 4])}


def results(shard, rows, error=None):
    found = [
        {SHARD: shard, ROW: row, schema.ERROR: error} | ({} if error else {"mse": row / 8})
        for row in rows
    ]
    return pa.Table.from_pylist(found, RESULTS)


@pytest.fixture
def gather(tmp_path):
    with ProgressReporter(5) as reporter:
        output = Output(str(tmp_path), CONFIG)
        yield Committer(manifest(range(5)), output, PLAN, {}, FirstFailures(), reporter)


def committed(folder):
    return {path.name: pq.read_table(path) for path in sorted(folder.glob("*.parquet"))}


def test_a_shard_is_committed_when_its_last_row_comes_in_the_order_of_the_plan(gather, tmp_path):
    gather.add(pa.concat_tables([results(1, [4]), results(0, [1])]))
    gather.add(results(0, [2]))
    assert committed(tmp_path) == {}
    assert {shard: rows.tolist() for shard, rows in gather.missing().items()} == {0: [0], 1: [3]}
    gather.add(results(0, [0]))
    (table,) = committed(tmp_path).values()
    assert table["pair_id"].to_pylist() == ["p0", "p2", "p1"]
    assert table["mse"].to_pylist() == [0, 0.25, 0.125]
    assert list(gather.missing()) == [1]


def test_what_never_came_is_a_row_with_an_error(gather, tmp_path):
    gather.add(results(0, [0, 2]))
    gather.give_up()
    first, second = committed(tmp_path).values()
    assert [error is None for error in first[schema.ERROR].to_pylist()] == [True, True, False]
    assert all(error.startswith("WorkerDied: ") for error in second[schema.ERROR].to_pylist())
    assert gather.missing() == {}


def test_results_of_other_rows_are_no_shard(gather, tmp_path):
    with pytest.raises(OutputError, match="shard 1 got results for other rows"):
        gather.add(results(1, [3, 3]))
    assert committed(tmp_path) == {}


def test_refused_credentials_stop_it(gather, tmp_path):
    with pytest.raises(AccessError, match="^the key has expired$"):
        gather.add(results(1, [3, 4], "AccessError: the key has expired"))
    assert committed(tmp_path) == {}


def test_without_a_kind_of_error():
    table = pa.concat_tables([results(0, [0]), results(0, [1], "AccessError: no")])
    assert without(AccessError, table)[ROW].to_pylist() == [0]
    assert without(OutputError, table)[ROW].to_pylist() == [0, 1]


def test_what_comes_twice_counts_once(gather, tmp_path):
    gather.add(results(0, [2, 1]))
    gather.add(results(0, [1, 2]))
    assert committed(tmp_path) == {}
    gather.add(results(0, [1, 0]))
    gather.add(results(0, [0, 2]))  # after its shard is there
    (table,) = committed(tmp_path).values()
    assert table["pair_id"].to_pylist() == ["p0", "p2", "p1"]
    assert list(gather.missing()) == [1]
