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


@needs_x86
def test_job_on_a_cpu_without_bf16_is_refused_before_it_writes(sweep, tmp_path) -> None:
    output = tmp_path / "scores"
    command = ("-m", "roi_ray", "score", "--manifest", sweep, "--output", output, "--device", "cpu")
    refused = run_on_avx2(*command, "--precision", "bf16")
    assert refused.returncode == 2
    assert "error: precision bf16 takes about " in refused.stderr
    assert not output.exists()


ON_A_CLUSTER = """
import sys
import ray
from roi_ray.errors import DeviceError
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.settings import Settings

# To the driver this is a cluster that others have started; its GPU exists only in Ray's books.
ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
manifest, folder = sys.argv[1:]
for engine, device, precision, name in (
    ("ray", "cpu", "fp16", "slow"),
    ("ray", "auto", "auto", "gpu"),
    ("ray", "cpu", "auto", "gpu"),
    ("local", "cpu", "bf16", "slow"),
):
    actors = 1 if engine == "ray" else None
    slow = precision == "bf16"
    options = Options(device=device, engine=engine, actors=actors, allow_slow_precision=slow)
    try:
        settings = Settings(precision=precision)
        print(score_manifest(manifest, f"{folder}/{name}", settings, options).scored)
    except DeviceError as error:
        print(str(error).splitlines()[0])
    print(open(f"{folder}/{name}/_run/run.json").read().split('"precision": ')[1].split(",")[0])
"""


@needs_x86
def test_actors_refuse_a_slow_precision_and_auto_follows_their_device(sweep, tmp_path) -> None:
    run = run_on_avx2("-c", ON_A_CLUSTER, sweep, tmp_path)
    assert run.returncode == 0, run.stderr
    refused, fp16, no_gpu, gpu_precision, scored, fp32, allowed, bf16 = run.stdout.splitlines()
    assert refused.startswith("a scoring actor cannot start: precision fp16 takes about ")
    assert fp16 == '"fp16"'
    assert "device 'cuda' is not available" in no_gpu
    assert gpu_precision == '"fp16"'
    # Nothing was scored on the GPU, so that a CPU is free to choose.
    assert (scored, fp32) == ("6", '"fp32"')
    assert (allowed, bf16) == ("6", '"bf16"')


@needs_x86
def test_resuming_in_a_slow_precision_says_what_to_do(sweep, tmp_path) -> None:
    output = tmp_path / "scores"
    options = Options(device="cpu", engine="local", shard_size=3, allow_slow_precision=True)
    score_manifest(sweep, str(output), Settings(precision="fp16"), options)
    min(output.glob("shard-*.parquet")).unlink()
    command = ("-m", "roi_ray", "score", "--manifest", sweep, "--output", output, "--device", "cpu")
    refused = run_on_avx2(*command, "--shard-size", 3, "--precision", "auto")
    assert refused.returncode == 2
    assert "precision fp16 takes about " in refused.stderr
    assert f"{output} was begun in fp16, and a run keeps its precision: resume" in refused.stderr
