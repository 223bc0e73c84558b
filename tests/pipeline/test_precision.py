"""Which precision a job gets, and what its record says, on a real CPU and a real Ray."""

import json

import pyarrow.parquet as pq
import pytest

from roi_ray.errors import OutputError
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.settings import Settings
from tests.conftest import make_sweep_of, needs_x86, run_on_avx2

AUTO = Settings(precision="auto")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, photos):
    return make_sweep_of({"coffee": photos["coffee"]}, tmp_path_factory.mktemp("sweep"))


def recorded_precision(output):
    return json.loads((output / "_run" / "run.json").read_text())["config"]["precision"]


def test_auto_is_recorded_as_the_precision_that_it_stands_for(sweep, tmp_path) -> None:
    output = tmp_path / "scores"
    options = Options(device="auto", engine="local")
    assert score_manifest(sweep, str(output), AUTO, options).scored == 6
    assert recorded_precision(output) == "fp32"
    # fp32 is the same run.
    assert score_manifest(sweep, str(output), Settings(), options).scored == 0


def test_auto_resumes_a_run_in_its_precision(sweep, tmp_path, caplog) -> None:
    output = tmp_path / "scores"
    options = Options(device="cpu", engine="local", shard_size=3, allow_slow_precision=True)
    score_manifest(sweep, str(output), Settings(precision="bf16"), options)
    before = pq.read_table(output)
    shard = min(output.glob("shard-*.parquet"))
    shard.unlink()
    summary = score_manifest(sweep, str(output), AUTO, options)
    assert 0 < summary.scored <= summary.rows == 6
    assert f"precision auto: bf16, in which {output} was begun" in caplog.text
    assert recorded_precision(output) == "bf16"
    after = pq.read_table(output)
    assert after["lpips"].to_pylist() == pytest.approx(before["lpips"].to_pylist(), rel=1e-5)
    with pytest.raises(OutputError, match="precision: 'bf16' before, 'fp32' now"):
        score_manifest(sweep, str(output), Settings(), options)
    # A record without scores binds nobody.
    for path in output.glob("shard-*.parquet"):
        path.unlink()
    score_manifest(sweep, str(output), AUTO, options)
    assert recorded_precision(output) == "fp32"


ON_AVX2 = """
import contextlib, io, json, pathlib, sys
import typer
from roi_ray.cli import score
from roi_ray.errors import DeviceError
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.runtime.ray_start import start_ray
from roi_ray.settings import Settings

manifest, folder = sys.argv[1:]

def run_command(**arguments):
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed):
        try:
            score.main(manifest=manifest, device="cpu", **arguments)
        except typer.Exit as end:
            return end.exit_code, printed.getvalue()

report = {
    "new": run_command(output=f"{folder}/new", precision="bf16"),
    "begun": run_command(output=f"{folder}/begun", precision="auto", shard_size=3),
}
# To the driver this is a cluster that others have started; its GPU exists only in Ray's books.
start_ray({"address": "local", "num_cpus": 2, "num_gpus": 1, "log_to_driver": False})
for case, engine, device, precision, name in (
    ("fp16 on CPU", "ray", "cpu", "fp16", "slow"),
    ("auto on GPU", "ray", "auto", "auto", "gpu"),
    ("auto on CPU", "ray", "cpu", "auto", "gpu"),
    ("bf16 allowed", "local", "cpu", "bf16", "slow"),
):
    actors = 1 if engine == "ray" else None
    slow = precision == "bf16"
    options = Options(device=device, engine=engine, actors=actors, allow_slow_precision=slow)
    try:
        settings = Settings(precision=precision)
        outcome = score_manifest(manifest, f"{folder}/{name}", settings, options).scored
    except DeviceError as error:
        outcome = str(error).splitlines()[0]
    # A job that fails before its first shard leaves nothing.
    record = pathlib.Path(folder, name, "_run", "run.json")
    kept = json.loads(record.read_text())["config"]["precision"] if record.exists() else None
    report[case] = outcome, kept
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def on_avx2(sweep, tmp_path_factory):
    """What jobs report on a CPU without bf16, in one process: by case; and the outputs' folder."""
    folder = tmp_path_factory.mktemp("avx2")
    options = Options(device="cpu", engine="local", shard_size=3, allow_slow_precision=True)
    score_manifest(sweep, str(folder / "begun"), Settings(precision="fp16"), options)
    min(folder.glob("begun/shard-*.parquet")).unlink()
    run = run_on_avx2("-c", ON_AVX2, sweep, folder)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1]), folder


@needs_x86
def test_job_on_a_cpu_without_bf16_is_refused_before_it_writes(on_avx2) -> None:
    report, folder = on_avx2
    code, error = report["new"]
    assert code == 2
    assert "error: precision bf16 takes about " in error
    assert not (folder / "new").exists()


@needs_x86
def test_resuming_in_a_slow_precision_says_what_to_do(on_avx2) -> None:
    report, folder = on_avx2
    code, error = report["begun"]
    assert code == 2
    assert "precision fp16 takes about " in error
    expected = f"{folder / 'begun'} was begun in fp16, and a run keeps its precision: resume"
    assert expected in error


@needs_x86
def test_actors_refuse_a_slow_precision_and_auto_follows_their_device(on_avx2) -> None:
    report, _ = on_avx2
    refused, kept = report["fp16 on CPU"]
    assert refused.startswith("a scoring actor cannot start: precision fp16 takes about ")
    no_gpu, kept_on_gpu = report["auto on GPU"]
    assert "device 'cuda' is not available" in no_gpu
    assert kept is kept_on_gpu is None
    assert report["auto on CPU"] == [6, "fp32"]
    assert report["bf16 allowed"] == [6, "bf16"]
