"""The engines of a sweep."""

import threading
import time
from dataclasses import replace

import pyarrow as pa
import pytest

from roi_ray import schema
from roi_ray.io.allowlist import Allowlist
from roi_ray.sweep.builtin import make_codec
from roi_ray.sweep.codec import Encoded
from roi_ray.sweep.encode_stage import EncodeOptions
from roi_ray.sweep.engines import EncodeJob, LocalEncodeEngine, split_by_codec
from tests.conftest import encode, write
from tests.sweep.sweep_items import jpeg_with, make_items, sleep

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
    table = pa.concat_tables(tables).drop_columns(timed)
    return sorted(table.to_pylist(), key=lambda row: row["row"])


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_threads_give_what_one_does(job, originals, workers) -> None:
    items = make_items(originals, CODECS, TARGETS)
    expected = read(job.encode(items))
    before = threading.active_count()
    assert read(LocalEncodeEngine(replace(job, workers=workers)).run(items)) == expected
    assert threading.active_count() == before
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
    assert all(piece.schema.equals(items.schema) for piece in pieces)
    for column in ("rows", "pair_ids", "target", "bitstream"):
        split = [cell for piece in pieces for cell in piece[column][0].as_py()]
        assert split == [cell for cells in items[column].to_pylist() for cell in cells]
    assert [set(piece["codec"][0].as_py()) for piece in pieces[:2]] == [{"jpeg"}, {"webp"}]


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
    before = threading.active_count()

    def take() -> None:
        for _ in LocalEncodeEngine(replace(job, codecs=codecs)).run(items):
            raise error

    with pytest.raises(error):
        take()
    assert len(begun) <= 4
    assert threading.active_count() == before


def test_defect_in_a_thread_ends_the_job(job, originals) -> None:
    class Broken(EncodeJob):
        def encode(self, items, is_stopped=lambda: False):
            yield from super().encode(items, is_stopped)
            raise ZeroDivisionError

    items = make_items(originals[:2], CODECS, TARGETS)
    broken = Broken(job.base, job.allowlist, job.codecs, job.output, job.options)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        list(LocalEncodeEngine(broken).run(items))
    assert threading.active_count() == before
