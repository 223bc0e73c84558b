"""The command line of `roi-ray status`."""

import re
import shlex

import pyarrow.parquet as pq
import pytest

from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.sweep.job import make_sweep
from roi_ray.sweep.options import SweepOptions
from tests.conftest import encode, write
from tests.pipeline.outputs import ERRORS, write_manifest, write_output


@pytest.fixture
def manifest(tmp_path):
    return write_manifest(tmp_path / "sweep")


def test_partial_output_is_described_and_exits_with_4(run, tmp_path, manifest) -> None:
    output = write_output(str(tmp_path / "scores"), manifest, [0, 1, 3], ["y/0.jpg", "y/2.jpg"])
    (tmp_path / "scores" / "shard-000003.parquet").write_bytes(b"PAR1")
    result = run(output)
    assert result.exit_code == 4
    text = result.stdout
    assert f"{output}: 4 of 10 pairs, 2 failed, 6 missing; 2 shards" in text
    assert f"manifest: {manifest}; begun: 2" in text
    assert re.search(r"job of [-\d]+ [:\d]+ UTC: 4 pairs in 0:00:\d\d, [.\d]+ pairs/s", text)
    assert "now: no job is writing" in text
    assert f"1 x ImageReadError\n  {ERRORS[0].text}\n" in text
    assert f"1 x SizeMismatch\n  {ERRORS[1].text}\n" in text
    assert "files torn or of another run: 1" in text
    assert "shard-000003.parquet" in text


def test_complete_output_exits_with_0(run, tmp_path, manifest) -> None:
    output = write_output(str(tmp_path / "scores"), manifest, range(5))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = run(output, "--failed", tmp_path / "f.parquet", "--missing", tmp_path / "m.parquet")
    assert result.exit_code == 0
    assert "10 of 10 pairs, 0 failed, 0 missing" in result.stdout
    assert "no failed pairs" in result.stdout
    assert "no missing pairs" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_missing_manifest_fails_only_the_list_of_missing_pairs(run, tmp_path, manifest) -> None:
    output = write_output(str(tmp_path / "scores"), manifest, [0])
    (tmp_path / "sweep" / "m.parquet").unlink()
    result = run(output, "--missing", tmp_path / "missing.parquet")
    assert result.exit_code == 2
    assert "2 of 10 pairs, 0 failed, 8 missing" in result.stdout
    assert "error: only the run's manifest tells which pairs are missing" in result.stderr


def test_folder_without_a_run_record_exits_with_2(run, tmp_path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "error: " in result.stderr and "is not an output of `roi-ray score`" in result.stderr


@pytest.mark.parametrize("folder", ["sweep", "sweep/cells"])
def test_sweep_is_described_in_cells(run, tmp_path, photos, folder) -> None:
    write(tmp_path / "in/x.png", encode(photos["coffee"][:48, :48]))
    write(tmp_path / "in/broken.png", b"rubbish")
    options = SweepOptions(engine="local", shard_size=1)
    make_sweep(str(tmp_path / "in"), str(tmp_path / "sweep"), ["jpeg:20,80"], options=options)
    next((tmp_path / "sweep/cells").glob("*3.parquet")).unlink()
    result = run(tmp_path / folder)
    assert result.exit_code == 4
    text = result.stdout
    cells = tmp_path / "sweep/cells"
    assert f"{cells}: 3 of 4 cells, 2 failed, 1 missing; 3 shards" in text
    assert f"images: {tmp_path / 'in'}; begun: 2" in text
    assert re.search(r"UTC: 3 cells in 0:00:\d\d, [.\d]+ cells/s", text)
    assert "2 x ImageReadError" in text
    refused = run(tmp_path / folder, "--missing", tmp_path / "again/m.parquet")
    assert refused.exit_code == 2
    assert "the same `roi-ray sweep` command makes what is missing" in refused.stderr


def test_printed_command_scores_the_failed_pairs(run, tmp_path, photos) -> None:
    x = photos["coffee"][:48, :48]
    manifest = write_manifest(tmp_path / "in")
    write(tmp_path / "in" / "x" / "1.png", encode(x))
    write(tmp_path / "in" / "y" / "3.jpg", encode(x, "JPEG"))
    output = write_output(str(tmp_path / "scores"), manifest, range(5), ["y/3.jpg"])
    result = run(output, "--failed", tmp_path / "again" / "failed.parquet")
    assert result.exit_code == 0
    (command,) = (line for line in result.stdout.splitlines() if "--manifest" in line)
    words = shlex.split(command.split(": ", 1)[1])
    assert words[:2] == ["roi-ray", "score"]
    options = dict(zip(words[2::2], words[3::2], strict=False))
    again = score_manifest(
        options["--manifest"],
        str(tmp_path / "new"),
        options=Options("cpu", engine="local", allow_prefixes=(options["--allow-prefix"],)),
    )
    assert (again.rows, again.failed) == (1, 0)
    new, old = pq.read_table(tmp_path / "new"), pq.read_table(output)
    assert new["pair_id"].to_pylist() == old.filter(old["error"].is_valid())["pair_id"].to_pylist()


def test_same_file_for_failed_and_missing_is_refused(run, tmp_path, manifest) -> None:
    output = write_output(str(tmp_path / "scores"), manifest, [0, 1], failed=["y/1.jpg"])
    both = str(tmp_path / "both.parquet")
    result = run(output, "--failed", both, "--missing", f"{tmp_path}/./both.parquet")
    assert result.exit_code == 2
    assert "name the same file" in result.stderr
    assert not (tmp_path / "both.parquet").exists()
