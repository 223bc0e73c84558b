import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from roi_ray.cli.app import app
from tests.conftest import encode, strip_colours, write


@pytest.fixture
def images(tmp_path, photos):
    for name in ("coffee", "rocket"):
        write(tmp_path / f"images/{name}.png", encode(photos[name][:90, :120]))
    return str(tmp_path / "images")


def run(*arguments):
    result = CliRunner().invoke(app, ["sweep", *arguments], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_sweep_prints_the_command_that_scores_it(tmp_path, images, without_ray):
    out = str(tmp_path / "out")
    codecs = ("--codec", "jpeg:20..80:30", "--codec", "avif")
    made = run("--images", images, "--output", out, *codecs, "--metrics", "ssimulacra2")
    assert made.exit_code == 0, made.output
    assert "16 cells, 0 failed; 16 encoded now" in made.stdout
    command = shlex.split(made.stdout.splitlines()[-1].partition("score it: ")[2])
    assert command[:2] == ["roi-ray", "score"]
    scored = CliRunner().invoke(app, command[1:])
    assert scored.exit_code == 0, scored.output
    assert "16 pairs, 0 failed; 16 scored now" in scored.stdout
    assert pq.read_table(tmp_path / "out/scores")["ssimulacra2"].null_count == 0


def test_sweep_goes_on_into_scoring_and_adds_to_both(tmp_path, images, without_ray):
    arguments = ["--images", images, "--output", str(tmp_path / "out"), "--score"]
    for codec, count, total in (("jpeg:50", 2, 2), ("webp:30,60", 4, 6)):
        result = run(*arguments, "--codec", codec, "--metrics", "ssimulacra2")
        assert result.exit_code == 0, result.output
        assert f"{total} cells, 0 failed; {count} encoded now" in result.stdout
        assert f"{total} pairs, 0 failed; {count} scored now" in result.stdout
        assert "score it" not in result.stdout
    table = pq.read_table(tmp_path / "out/scores")
    assert table.num_rows == 6
    assert min(table["ssimulacra2"].to_pylist()) > 0


def test_a_sweep_is_committed_in_small_parts(tmp_path, images):
    """A job that is killed after 64 cells of a slow encoder must not begin again."""
    out = tmp_path / "out"
    assert run("--images", images, "--output", str(out), "--codec", "jpeg:1..40").exit_code == 0
    shards = [pq.read_metadata(path).num_rows for path in (out / "cells").glob("shard-*.parquet")]
    assert shards == [40, 40]


def test_score_goes_on_with_the_scores_of_a_sweep_whatever_its_shard_size(
    tmp_path, images, without_ray
):
    sweep = ["--images", images, "--output", str(tmp_path / "out"), "--shard-size", "2"]
    assert run(*sweep, "--codec", "jpeg:50", "--score").exit_code == 0
    made = run(*sweep, "--codec", "webp:50")
    assert made.exit_code == 0, made.output
    command = shlex.split(made.stdout.splitlines()[-1].partition("score it: ")[2])
    scored = CliRunner().invoke(app, command[1:])
    assert scored.exit_code == 0, scored.output
    assert "4 pairs, 0 failed; 2 scored now" in scored.stdout


def test_dry_run_prints_the_cells_and_writes_nothing(tmp_path, images):
    out = tmp_path / "out"
    arguments = ["--images", images, "--output", str(out), "--codec", "jpeg:10..30:10:444"]
    result = run(*arguments, "--match", "bpp=0.5,1", "--dry-run")
    assert result.exit_code == 0, result.output
    text = strip_colours(result.stdout)
    for part in (
        "jpeg-subsampling=444",
        "quality 10, 20, 30",
        "bpp 0.5, 1",
        "2 images of",
        "10 cells",
    ):
        assert part in text
    assert not out.exists()


def test_too_many_failed_cells_have_their_exit_code(tmp_path, images):
    write(Path(images) / "rubbish.png", b"rubbish")
    arguments = ["--images", images, "--output", str(tmp_path / "out"), "--codec", "jpeg:50"]
    result = run(*arguments)
    assert result.exit_code == 3
    assert "3 cells, 1 failed" in result.stdout
    assert "rubbish.png: not an image" in result.stdout
    assert "more than --fail-above 0.1 of the rows failed" in result.stderr
    assert run(*arguments, "--fail-above", "0.5").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--codec", "jepg"], "unknown codec 'jepg' (did you mean 'jpeg'"),
        (["--codec", "jpeg:50:sped=3"], "sped"),
        (["--codec", "jpeg:101"], "jpeg has no quality 101"),
        (["--codec", "jpeg", "--match", "vmaf=90"], "'vmaf' cannot be matched"),
        (["--plan", "nowhere.toml"], "nowhere.toml"),
        ([], "name some with --codec"),
        (["--codec", "jpeg", "--tolerance", "0"], "tolerance"),
        (["--codec", "jpeg", "--images", "nowhere"], "no such file or folder"),
    ],
)
def test_unusable_arguments_are_one_line_and_exit_code_2(tmp_path, images, arguments, message):
    out = tmp_path / "out"
    result = run("--images", images, "--output", str(out), *arguments)
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
    assert not out.exists()
