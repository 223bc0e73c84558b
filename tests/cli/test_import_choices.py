"""The command line of `roi-ray import-choices`."""

import re
from pathlib import Path

import pytest

from roi_ray.datasets import DATASET_NAMES
from roi_ray.preference.comparisons.table import read_comparisons
from tests.conftest import write

SCORES = "dist_img,ref_img,dmos,var\n" + "".join(
    f"I0{reference}_01_0{level}.png,I0{reference}.png,{5.5 - level},0.9\n"
    for reference in range(1, 4)
    for level in range(1, 6)
)


@pytest.fixture
def kadid(tmp_path) -> Path:
    write(tmp_path / "kadid" / "dmos.csv", SCORES.encode())
    return tmp_path / "kadid"


def test_help_names_every_data_set_and_option(run, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = run("--help")
    assert result.exit_code == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
    assert all(name in text for name in (*DATASET_NAMES, "DATASET", "PATH", "--output"))
    assert "--min-standard-errors" in text


def test_comparisons_are_written_and_reported(run, tmp_path, kadid) -> None:
    output = tmp_path / "choices.parquet"
    result = run("kadid10k", kadid, "--output", output)
    assert result.exit_code == 0, result.output
    assert "kadid10k: 30 comparisons of 3 references, 0 ties, 0 control" in result.stdout
    assert f"-> {output}" in result.stdout
    assert "--allow-prefix" not in result.stdout
    assert "label direction: 100.0% of 30 answers agree with distortion level" in result.stdout
    assert read_comparisons(str(output)).table.num_rows == 30


def test_report_names_the_allow_prefix_that_images_need(run, tmp_path, kadid) -> None:
    result = run("kadid10k", kadid, "--output", tmp_path / "elsewhere" / "choices.parquet")
    assert f"roi-ray compare opens the images with --allow-prefix {kadid}" in result.stdout


def test_report_counts_dropped_pairs(run, tmp_path, kadid) -> None:
    output = tmp_path / "choices.parquet"
    result = run("kadid10k", kadid, "--output", output, "--min-standard-errors", 5)
    assert "kadid10k: 18 comparisons" in result.stdout
    assert "left out: 12 pairs with scores too close to tell" in result.stdout


def test_report_counts_repeated_questions(run, tmp_path) -> None:
    for name in ("o.png", "x.png", "y.png"):
        write(tmp_path / name, b"")
    write(tmp_path / "oracle.csv", b"o.png,x.png,y.png,0\n" * 2)
    result = run("clic", tmp_path, "--output", tmp_path / "choices.parquet")
    assert "1 repeat the question of an earlier row" in result.stdout
    assert "label direction: nothing to check against the original, in control" in result.stdout


def test_wrong_label_direction_exits_with_2_and_writes_nothing(run, tmp_path, kadid) -> None:
    write(
        kadid / "dmos.csv", re.sub(r",(\d)\.5,", lambda m: f",{5 - int(m[1])}.5,", SCORES).encode()
    )
    output = tmp_path / "choices.parquet"
    result = run("kadid10k", kadid, "--output", output)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: kadid10k: only 0.0% of 30 answers agree")
    assert not output.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("kadid10k", "kadid"),
        ("kadid", "kadid", "--output", "x.parquet"),
        ("kadid10k", "nothing", "--output", "x.parquet"),
        ("kadid10k", "kadid", "--output", "x.csv"),
        ("kadid10k", "kadid", "--output", "x.parquet", "--min-standard-errors", "-1"),
        ("clic", "kadid", "--output", "x.parquet", "--min-standard-errors", "1"),
    ],
)
def test_unusable_arguments_exit_with_2(run, arguments, kadid, monkeypatch) -> None:
    monkeypatch.chdir(kadid.parent)
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr
    assert [path.name for path in kadid.parent.iterdir()] == ["kadid"]
