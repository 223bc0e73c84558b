"""`roi-ray summary`."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import strip_colours
from tests.decision.model_sweeps import sweep_rows


@pytest.fixture
def scores(tmp_path):
    rows = [
        row | {"content": "text" if row["reference"] < "4" else "photo"}
        for row in sweep_rows({"jpeg": 1, "good": 1.1, "bad": 1 / 1.1})
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores.parquet")
    return tmp_path / "scores.parquet"


def test_table_is_printed(run, scores) -> None:
    result = run(scores, "--model", "none")
    assert result.exit_code == 0, result.output
    text = strip_colours(result.stdout)
    assert re.search(r"\ngood needs 9\.\d % fewer bits than jpeg", text)


def test_options_choose_anchor_metrics_codecs_and_groups(run, scores) -> None:
    result = run(
        *(scores, "--anchor", "bad", "--metric", "psnr", "--codec", "good", "--json"),
        *("--group-by", "content", "--model", "none"),
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (rate,) = document["bd_rates"]
    assert (rate["codec"], rate["metric"]) == ("good", "psnr")
    assert rate["mean"]["value"] == pytest.approx(100 / 1.21 - 100)
    groups = {group["value"]: group["bd_rates"][0] for group in document["groups"]}
    assert groups.keys() == {"text", "photo"}
    assert groups["text"]["images"] == 4
    assert document["preference"]["not_valid_because"]


def test_groups_are_columns_of_a_table(run, scores) -> None:
    result = run(scores, "--group-by", "content", "--model", "none")
    text = strip_colours(result.stdout)
    assert "By content, ssimulacra2:" in text
    header = next(line for line in text.splitlines() if "photo" in line)
    assert header.split() == ["photo", "text"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "vmaf"], "no metric 'vmaf'"),
        (["--anchor", "avif"], "no codec 'avif'"),
        (["--group-by", "kind"], "kind"),
    ],
)
def test_unusable_arguments_exit_with_2(run, scores, options, message) -> None:
    result = run(scores, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_table_without_codecs_exits_with_2(run, tmp_path) -> None:
    pq.write_table(pa.table({"reference": ["a.png"], "psnr": [30.0]}), tmp_path / "t.parquet")
    result = run(tmp_path / "t.parquet")
    assert result.exit_code == 2
    assert "no column 'codec'" in result.stderr
