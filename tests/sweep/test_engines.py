"""The engines of a sweep."""

import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.errors import ClusterError
from roi_ray.io.allowlist import Allowlist
from roi_ray.sweep import job as sweep_job
from roi_ray.sweep.builtin import make_codec
from roi_ray.sweep.codec import Encoded
from roi_ray.sweep.codec_run import EncodeOptions
from roi_ray.sweep.engines import EncodeJob, make_encode_engine
from roi_ray.sweep.local_engine import LocalEncodeEngine
from roi_ray.sweep.options import SweepOptions
from roi_ray.sweep.pieces import find_places, join_neighbours, split_by_codec
from roi_ray.sweep.ray_engine import RayEncodeEngine, encode_on_node
from roi_ray.sweep.sweep_kind import SWEEP_RESULT_ROWS
from tests.conftest import encode, write
from tests.sweep.sweep_items import crash, jpeg_with, make_items, sleep

CODECS = {codec.label: codec for codec in (make_codec("jpeg"), make_codec("webp"))}
TARGETS = [("quality", 30.0), ("bpp", 1.0), ("psnr", 99.0)]


@pytest.fixture
def originals(tmp_path, photos) -> list[str]:
    """Crops of photographs, and one that cannot be read."""
    names = []
    for name, photo in photos.items():
        write(tmp_path / f"{name}.png", encode(photo[:96, :128]))
        names.append(f"{name}.png")
    return [*names, "gone.png"]


@pytest.fixture
def job(tmp_path) -> EncodeJob:
    return EncodeJob(
        base=str(tmp_path),
        allowlist=Allowlist((str(tmp_path),)),
        codecs=CODECS,
        output=str(tmp_path / "out"),
        options=EncodeOptions(),
        workers=3,
    )


def read(tables) -> list[dict]:
    """Collect results in the order of their rows, without what depends on the time."""
    timed = [schema.ENCODE_SECONDS, schema.DECODE_SECONDS, schema.OTHER_LOAD]
    empty = SWEEP_RESULT_ROWS.empty_table()
    table = pa.concat_tables([empty, *tables]).drop_columns(timed)
    return sorted(table.to_pylist(), key=lambda row: row["row"])


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_threads_give_what_one_does(job, originals, workers) -> None:
    items = make_items(originals, CODECS, TARGETS)
    expected = read(job.encode(items))
    before = set(threading.enumerate())
    assert read(LocalEncodeEngine(replace(job, workers=workers)).run(items)) == expected
    assert set(threading.enumerate()) <= before
    kinds = [row["error_kind"] for row in expected]
    assert len(kinds) == len(originals) * 6
    assert kinds[:3] == [None, None, "TargetMissed"]
    assert kinds[-6:] == ["ImageReadError"] * 6


def test_isolated_cells_give_the_same(job, originals) -> None:
    expected = read(job.encode(make_items(originals, CODECS, TARGETS)))
    items = make_items(originals, CODECS, TARGETS, cell_per_item=True)
    assert read(LocalEncodeEngine(job).run(items, isolate=True)) == expected


def test_split_by_codec_keeps_every_cell(originals) -> None:
    items = make_items(originals, CODECS, TARGETS)
    pieces = split_by_codec(items)
    assert len(pieces) == 2 * len(originals)
    assert pieces.schema.equals(items.schema)
    for column in ("rows", "pair_ids", "target", "bitstream"):
        assert pc.list_flatten(pieces[column]).equals(pc.list_flatten(items[column]))
    assert [set(codecs) for codecs in pieces["codec"].to_pylist()[:2]] == [{"jpeg"}, {"webp"}]
    assert pieces["reference"].to_pylist()[:3] == [originals[0], originals[0], originals[1]]
    joined = join_neighbours(pieces, find_places(pieces, CODECS))
    assert [len(part) for part, _ in joined] == [2] * len(originals)
    assert pa.concat_tables(part for part, _ in joined).equals(pieces)


def test_workers_limit_the_cpus_in_use(job, originals) -> None:
    lock, busy, most = threading.Lock(), [0.0], [0.0]

    def make(label, cpus):
        def encoding(quality, data):
            with lock:
                busy[0] += min(cpus, 3)
                most[0] = max(most[0], busy[0])
            time.sleep(0.05)
            with lock:
                busy[0] -= min(cpus, 3)
            return Encoded(data, 0.01)

        return jpeg_with(label, encoding=encoding, cpus=cpus)

    codecs = {codec.label: codec for codec in (make("one", 1), make("two", 2), make("nine", 9))}
    items = make_items(originals[:3], codecs, [("quality", 50.0), ("quality", 60.0)])
    rows = read(LocalEncodeEngine(replace(job, codecs=codecs)).run(items))
    assert len(rows) == 18 and {row["error"] for row in rows} == {None}
    assert most[0] == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_job_that_ends_begins_no_further_cell(job, originals, error) -> None:
    begun = []

    def encoding(quality, data):
        begun.append(quality)
        return sleep(quality, data)

    codecs = {"slow": jpeg_with("slow", encoding=encoding)}
    items = make_items(originals[:2], codecs, [("quality", q) for q in range(1, 50)])
    before = set(threading.enumerate())

    def take() -> None:
        for _ in LocalEncodeEngine(replace(job, codecs=codecs)).run(items):
            raise error

    with pytest.raises(error):
        take()
    assert len(begun) < 20  # of 98; a busy machine may begin some before it takes the first result
    assert set(threading.enumerate()) <= before


def test_defect_in_a_thread_ends_the_job(job, originals) -> None:
    class Broken(EncodeJob):
        def encode(self, items, is_stopped=lambda: False):
            yield from super().encode(items, is_stopped)
            raise ZeroDivisionError

    items = make_items(originals[:2], CODECS, TARGETS)
    broken = Broken(job.base, job.allowlist, job.codecs, job.output, job.options)
    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError):
        list(LocalEncodeEngine(broken).run(items))
    assert set(threading.enumerate()) <= before


@pytest.fixture
def run_on_ray(ray_cluster):
    """A function that encodes work items by the Ray engine, and returns the rows."""

    def run(job: EncodeJob, items: pa.Table, *, isolate: bool = False) -> list[dict]:
        with ExitStack() as connection:
            engine = make_encode_engine("ray", job, connection)
            return read(engine.run(items, isolate=isolate))

    return run


def test_ray_gives_what_the_local_engine_does(job, originals, run_on_ray) -> None:
    items = make_items(originals, CODECS, TARGETS)
    expected = read(LocalEncodeEngine(job).run(items))
    assert run_on_ray(replace(job, workers=None), items) == expected
    cells = make_items(originals, CODECS, TARGETS, cell_per_item=True)
    assert run_on_ray(job, cells, isolate=True) == expected


def test_codecs_of_different_resources_run_side_by_side(job, originals, run_on_ray) -> None:
    codecs = {
        "wide": jpeg_with("wide", cpus=2),
        "too-wide": jpeg_with("too-wide", cpus=1000),
        "half": jpeg_with("half", cpus=0.5),
    }
    items = make_items(originals[:2], codecs, [("quality", 50.0)])
    for workers in (None, 2):
        rows = run_on_ray(replace(job, codecs=codecs, workers=workers), items)
        assert [row["error"] for row in rows] == [None] * 6


def test_cell_that_crashes_its_process_is_missing_alone(job, originals, run_on_ray) -> None:
    codecs = {"crash": jpeg_with("crash", encoding=crash), **CODECS}
    targets = [("quality", 40.0), ("quality", 50.0), ("quality", 60.0)]
    crashing = replace(job, codecs=codecs, workers=None)
    first = run_on_ray(crashing, make_items(originals[:2], codecs, targets))
    there = {row["row"] for row in first}
    assert there < set(range(18)) and 1 not in there and 10 not in there
    cells = make_items(originals[:2], codecs, targets, cell_per_item=True)
    alone = run_on_ray(crashing, cells, isolate=True)
    assert {row["row"] for row in alone} == set(range(18)) - {1, 10}
    assert {row["error"] for row in [*first, *alone]} == {None}


def test_missing_resource_is_announced_once_and_others_go_on(
    job, originals, ray_cluster, caplog
) -> None:
    codecs = {"there": jpeg_with("there"), "gpu-codec": jpeg_with("gpu-codec", resource="encoders")}
    codecs["gpu-codec"] = replace(codecs["gpu-codec"], cpus=4)  # all that the cluster has
    items = make_items(originals[:2], codecs, [("quality", 50.0)])
    with ExitStack() as connection:
        engine = make_encode_engine("ray", replace(job, codecs=codecs, workers=None), connection)
        results = engine.run(items)
        rows = next(results)["row"].to_pylist()
        while len(rows) < 2:
            rows += next(results)["row"].to_pylist()
        assert sorted(rows) == [0, 2]
        results.close()
        (record,) = caplog.records
        assert (
            "no node has the resource 'encoders' yet: the cells of gpu-codec come last"
            in record.message
        )
        assert """--resources '{"encoders": 1}'""" in record.message


def test_local_ray_without_the_resource_is_refused(job, originals, ray_cluster) -> None:
    codecs = {"mine": jpeg_with("mine", resource="encoders")}
    items = make_items(originals[:1], codecs, [("quality", 50.0)])
    engine = RayEncodeEngine(replace(job, codecs=codecs), ExitStack())
    engine._can_grow = False
    with pytest.raises(ClusterError, match="no node has the resource 'encoders' that mine ask"):
        list(engine.run(items))


def test_node_that_does_not_see_the_output_stops_the_job(job, originals, tmp_path) -> None:
    items = make_items(originals[:1], CODECS, TARGETS)
    arguments = {**job.arguments(), "output": str(tmp_path / "elsewhere")}
    rows = pa.concat_tables(encode_on_node(items, **arguments)).to_pylist()
    assert len(rows) == 6
    assert {row["error_kind"] for row in rows} == {"StorageError"}
    assert "/elsewhere does not exist on the node " in rows[0]["error"]
    assert not (tmp_path / "elsewhere").exists()


def test_cell_that_crashes_its_process_is_one_failed_row_of_the_sweep(
    tmp_path, originals, ray_cluster, monkeypatch
) -> None:
    def make_crashing_job(*arguments) -> EncodeJob:
        job = make_job(*arguments)
        return replace(job, codecs={**job.codecs, "jpeg": jpeg_with("jpeg", encoding=crash)})

    make_job = sweep_job._make_job
    monkeypatch.setattr(sweep_job, "_make_job", make_crashing_job)
    summary = sweep_job.make_sweep(
        str(tmp_path / originals[0]),
        str(tmp_path / "sweep"),
        ["jpeg:40,50,60", "webp:50"],
        options=SweepOptions(engine="ray"),
    )
    assert (summary.rows, summary.failed) == (4, 1)
    rows = pq.read_table(summary.manifest).to_pylist()
    (failed,) = [row for row in rows if row["error_kind"]]
    assert (failed["codec"], failed["target"]) == ("jpeg", 50)
    assert (failed["error_kind"], failed["quality"]) == ("WorkerDied", None)
