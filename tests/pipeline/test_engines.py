"""The same jobs on both engines, and jobs of the local engine that end early."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from roi_ray import schema
from roi_ray.errors import DeviceError, OutputError, WeightsError
from roi_ray.pipeline.job import Stages
from roi_ray.pipeline.local_engine import _decode_ahead
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.settings import Settings
from roi_ray.verification.verify import verify_scores
from tests.conftest import deepen, encode, encode_16_bits, make_sweep_of, write

LOCAL = Options(device="cpu", shard_size=7, engine="local")
RAY = Options(device="cpu", shard_size=7, actors=2, engine="ray")
FAILURES = {
    "ImageReadError": 3,
    "ImageTooLarge": 1,
    "SizeMismatch": 1,
    "NotAllowed": 1,
    "UnusableMask": 1,
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory, photos):
    """Good pairs of several sizes and depths, some with masks, and every kind of bad row."""
    folder = tmp_path_factory.mktemp("sweep")
    rows = pq.read_table(make_sweep_of(photos, folder)).select(schema.URIS).to_pylist()
    photo = photos["chelsea"][:90, :111]
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[20:60, 30:70] = 255
    for name, data in {
        "x.png": encode(photo),
        "y.jpg": encode(photo, "JPEG", quality=30),
        "x16.png": encode_16_bits(deepen(photo, 16)),
        "mask.png": encode(mask),
        "black.png": encode(mask * 0),
        "bad mask.png": encode(mask // 255),
        "small.png": encode(photo[:40]),
        "large.png": encode(np.zeros((400, 400, 3), np.uint8)),
        "broken.png": encode(photo)[:300],
    }.items():
        write(folder / name, data)
    rows += [
        {"reference": x, "distorted": y, "mask": mask and f"{mask}.png"}
        for x, y, mask in (
            ("x.png", "y.jpg", None),
            ("x.png", "y.jpg", "mask"),
            ("x.png", "y.jpg", "black"),
            ("x16.png", "y.jpg", None),
            ("x.png", "x16.png", "mask"),
            ("x.png", "y.jpg", "bad mask"),
            ("x.png", "gone.jpg", None),
            ("x.png", "small.png", None),
            ("x.png", "large.png", None),
            ("x.png", "broken.png", None),
            ("broken.png", "y.jpg", None),
            ("x.png", "/etc/hostname", None),
        )
    ]
    for number, row in enumerate(rows):
        row.update(pair_id=f"pair {number}", codec="jpeg")
    rows.append(rows.pop(3))  # so that a reference's rows are not all neighbours
    columns = {name: [row.get(name) for row in rows] for name in rows[-2]}
    pq.write_table(pa.table(columns), folder / "mixed.parquet")
    return str(folder / "mixed.parquet")


OPTIONS = {"local": replace(LOCAL, max_pixels=100_000), "ray": replace(RAY, max_pixels=100_000)}
# Each actor is a process that imports torch. Two of them share the work in `outputs`.
RESUME = {"local": OPTIONS["local"], "ray": replace(OPTIONS["ray"], actors=1)}


@pytest.fixture(scope="module")
def outputs(manifest, tmp_path_factory, ray_cluster):
    """The outputs of both engines, by name."""
    outputs = {}
    for engine, options in OPTIONS.items():
        outputs[engine] = tmp_path_factory.mktemp(engine) / "scores"
        summary = score_manifest(manifest, str(outputs[engine]), options=options)
        assert (summary.rows, summary.scored) == (48, 48)
        assert summary.failed == sum(FAILURES.values())
    return outputs


def assert_equal_tables(table: pa.Table, expected: pa.Table) -> None:
    """Compare numbers to 1e-6 (0.001 dB), as the last digits depend on threads, the rest exactly.

    Files of the same run have the same metadata, except for times.
    """
    assert table.schema == expected.schema
    for ours, theirs in zip(table.columns, expected.columns, strict=True):
        assert ours.is_null().equals(theirs.is_null())
    numbers = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    assert set(schema.PAPER_FEATURES) < set(numbers)
    assert table.drop_columns(numbers).equals(expected.drop_columns(numbers))
    for name in numbers:
        atol = 1e-3 if name.endswith("psnr") else 1e-6
        got, wanted = (each[name].drop_null().to_numpy() for each in (table, expected))
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=atol, err_msg=name)


def read_lasting_metadata(file: Path) -> dict[bytes, bytes]:
    """Read a shard's metadata, except for when and where it was made."""
    metadata = dict(pq.read_schema(file).metadata)
    del metadata[b"roi_ray_when"]
    return metadata


def test_both_engines_write_the_same_files(outputs) -> None:
    local, ray = outputs["local"], outputs["ray"]
    names = sorted(str(path.relative_to(local)) for path in local.rglob("*"))
    assert names == sorted(str(path.relative_to(ray)) for path in ray.rglob("*"))
    shards = [name for name in names if name.endswith(".parquet")]
    assert len(shards) >= 6
    for name in shards:
        assert_equal_tables(pq.read_table(local / name), pq.read_table(ray / name))
        assert read_lasting_metadata(local / name) == read_lasting_metadata(ray / name)
    records = [json.loads((output / "_run" / "run.json").read_text()) for output in (local, ray)]
    assert [record.pop("started") < "9" for record in records] == [True, True]
    assert records[0] == records[1]


def test_bad_rows_have_the_same_errors(outputs) -> None:
    columns = ["pair_id", "error_kind", "error"]
    local, ray = (pq.read_table(output).select(columns) for output in outputs.values())
    assert local.equals(ray)
    kinds = [kind for kind in local["error_kind"].to_pylist() if kind is not None]
    assert {kind: kinds.count(kind) for kind in kinds} == FAILURES


@pytest.mark.parametrize(("first", "second"), [("local", "ray"), ("ray", "local")])
def test_run_of_one_engine_is_resumed_by_the_other(manifest, outputs, first, second) -> None:
    output = outputs[first]
    expected = pq.read_table(output)
    files = sorted(output.glob("*.parquet"))
    files[0].unlink()
    files[2].write_bytes(files[2].read_bytes()[:500])
    kept = {path: path.stat().st_mtime_ns for path in files if path not in (files[0], files[2])}
    summary = score_manifest(manifest, str(output), options=RESUME[second])
    assert 0 < summary.scored <= 14
    assert (summary.rows, summary.failed) == (48, sum(FAILURES.values()))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert_equal_tables(pq.read_table(output), expected)
    (output / "_run" / "torn" / files[2].name).unlink()
    (output / "_run" / "torn").rmdir()


@pytest.mark.parametrize(("first", "second"), [("local", "ray"), ("ray", "local")])
def test_run_of_one_engine_is_grown_by_the_other(
    manifest, outputs, tmp_path, first, second
) -> None:
    output, expected = tmp_path / "scores", pq.read_table(outputs[first]).sort_by("pair_id")
    part = replace(RESUME[first], limit=20)
    assert score_manifest(manifest, str(output), options=part).scored == 20
    summary = score_manifest(manifest, str(output), options=RESUME[second])
    assert (summary.rows, summary.scored) == (48, 28)
    assert summary.failed == sum(FAILURES.values())
    grown = pq.read_table(output).sort_by("pair_id")
    assert_equal_tables(grown.replace_schema_metadata(None), expected.replace_schema_metadata(None))
    assert verify_scores(str(output), pairs=5).agrees


KILLED = """
import os, signal, sys
from roi_ray.pipeline.committer import Committer
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest

commit = Committer._commit

def commit_and_die(self, shard):
    commit(self, shard)
    if shard == 2:
        assert "ray" not in sys.modules
        os.kill(os.getpid(), signal.SIGKILL)

Committer._commit = commit_and_die
manifest, output = sys.argv[1:]
options = Options(device="cpu", shard_size=7, max_pixels=100_000)
score_manifest(manifest, output, options=options)
"""


def test_killed_local_job_imported_no_ray_and_is_finished_by_ray(
    manifest, outputs, tmp_path
) -> None:
    output = tmp_path / "scores"
    command = [sys.executable, "-c", KILLED, manifest, str(output)]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (output / "_run" / "lock.json").exists()
    kept = {path: path.read_bytes() for path in output.glob("*.parquet")}
    assert 0 < len(kept) < 6
    summary = score_manifest(manifest, str(output), options=RESUME["ray"])
    assert summary.failed == sum(FAILURES.values())
    assert {path: path.read_bytes() for path in kept} == kept
    assert_equal_tables(pq.read_table(output), pq.read_table(outputs["ray"]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_local_job_without_a_gpu_is_told_so(manifest, tmp_path) -> None:
    with pytest.raises(DeviceError, match="device 'cuda' is not available"):
        score_manifest(manifest, str(tmp_path / "s"), options=replace(LOCAL, device="cuda"))


def test_weights_that_vanish_stop_a_local_job(manifest, tmp_path) -> None:
    class WithoutWeights(ScoringActor):
        def __init__(self, **arguments):
            other = Settings(discriminator=str(tmp_path / "gone.safetensors"))
            super().__init__(**arguments | {"settings": other})

    stages = Stages(actor=WithoutWeights)
    with pytest.raises(WeightsError, match="a scoring actor cannot start: .*No such file"):
        score_manifest(manifest, str(tmp_path / "scores"), options=LOCAL, stages=stages)
    assert not (tmp_path / "scores" / "_run" / "lock.json").exists()


def test_interrupted_local_job_keeps_its_shards_and_ends_its_threads(manifest, tmp_path) -> None:
    class Interrupted(ScoringActor):
        calls = 0

        def __call__(self, table):
            self.calls += 1
            if self.calls == 4:
                raise KeyboardInterrupt
            return super().__call__(table)

    output, before = tmp_path / "scores", set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        score_manifest(
            manifest, str(output), options=OPTIONS["local"], stages=Stages(actor=Interrupted)
        )
    assert set(threading.enumerate()) <= before
    assert not (output / "_run" / "lock.json").exists()
    assert len(list(output.glob("*.parquet"))) == 3
    summary = score_manifest(manifest, str(output), options=OPTIONS["local"])
    assert (summary.rows, summary.failed) == (48, sum(FAILURES.values()))
    assert summary.scored < 48


def test_second_local_job_on_an_output_is_refused(manifest, tmp_path, fast_lock) -> None:
    output, one_pair = str(tmp_path / "scores"), replace(OPTIONS["local"], limit=1)
    refusals = []

    class StartingSecondJob(ScoringActor):
        def __call__(self, table):
            with pytest.raises(OutputError, match="is writing there") as refused:
                score_manifest(manifest, output, options=one_pair)
            refusals.append(refused.value)
            return super().__call__(table)

    stages = Stages(actor=StartingSecondJob)
    summary = score_manifest(manifest, output, options=one_pair, stages=stages)
    assert (summary.rows, summary.failed, len(refusals)) == (1, 0, 1)


def test_each_decoder_is_one_chunk_ahead(tmp_path) -> None:
    decoded: list[str] = []
    blocks = [pa.table({"block": [number]}) for number in range(20)]

    def decode(block):
        for chunk in range(3):
            decoded.append(f"{block['block'][0]}.{chunk}")
            yield pa.table({"chunk": [decoded[-1]]})

    decoders = min(4, os.cpu_count() or 1)
    chunks = _decode_ahead(decode, iter(blocks), decoders)
    taken = [next(chunks)["chunk"][0].as_py() for _ in range(10)]
    time.sleep(0.1)
    assert len(decoded) <= 10 + decoders
    chunks.close()
    stopped = len(decoded)
    assert stopped <= 10 + decoders
    assert len(set(taken)) == 10

    decoded.clear()
    names = [f"{block}.{chunk}" for block in range(20) for chunk in "012"]
    chunks = _decode_ahead(decode, iter(blocks), decoders)
    assert sorted(chunk["chunk"][0].as_py() for chunk in chunks) == sorted(names)

    decoded.clear()
    for number, chunk in enumerate(_decode_ahead(decode, iter(blocks), 0), start=1):
        assert chunk["chunk"][0].as_py() == names[number - 1]
        assert len(decoded) == number
