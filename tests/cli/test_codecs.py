"""`roi-ray codecs`."""

import json
import sys

import pytest
from typer.testing import CliRunner

from roi_ray.cli.app import app
from roi_ray.sweep.builtin import BUILTIN, make_codec

PLAN = """
[codecs.fast]
codec = "avif"
quality = [20, 50]
speed = 9

[codecs.shell]
quality = [3]
encode = ["cp", "{in}", "{out}", "{quality}"]
version = ["echo", "copy 1.0 [bold]"]
suffix = ".png"

[codecs.gone]
quality = [3]
encode = ["no-such-encoder", "{in}", "{out}", "{quality}"]
suffix = ".png"
"""


def run(*arguments, width=80):
    return CliRunner().invoke(app, ["codecs", *arguments], env={"COLUMNS": str(width)})


@pytest.mark.parametrize("width", [80, 160])
def test_table_has_every_codec_with_version_scale_and_options(width):
    result = run(width=width)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= width
    for name in BUILTIN:
        line = next(line for line in lines if line.startswith(f"{name} "))
        scale = make_codec(name).scale
        ends = [f"{scale.lowest:g}", f"{scale.highest:g}"]
        assert " to ".join(ends if scale.higher_is_better else ends[::-1]) in line
    for option in (option for codec in BUILTIN.values() for option in codec.options):
        assert f" {option.name}={str(option.default).lower()} " in result.stdout


def test_missing_package_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyjpegli", None)
    result = run()
    assert result.exit_code == 0
    assert (
        "jpegli: the package pyjpegli is not installed: pip install 'roi-ray[jpegli]'"
        in result.stdout
    )


def test_json_has_the_scales_and_the_options():
    codecs = json.loads(run("--json").stdout)["builtin"]
    by_label = {codec["label"]: codec for codec in codecs}
    assert set(BUILTIN) <= by_label.keys()
    assert by_label["avif-depth=10"]["version"] == make_codec("avif", {"depth": 10}).version()
    assert by_label["jpegxl"]["quality"] == {
        "text": "distance of cjxl -d; 0 is lossless",
        "lowest": 0,
        "highest": 25,
        "step": 0.01,
        "changes_image": True,
        "higher_is_better": False,
        "defaults": [1, 2, 4, 8, 15],
    }
    assert {
        "option": "effort",
        "default": 7,
        "values": "1 to 10",
        "text": "1 fast .. 10 small",
    } in (by_label["jpegxl"]["options"])


def test_codecs_of_a_plan_are_listed_too(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    result = run("--plan", str(plan), width=200)
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["fast", *make_codec("avif").version().split(), "20", "50"] in lines
    assert ["shell", "cp:", "copy", "1.0", "[bold]", "3"] in lines
    assert ["gone", "no", "3"] in lines
    assert "no-such-encoder was not found" in result.stdout
    planned = json.loads(run("--plan", str(plan), "--json").stdout)["plan"]
    assert [codec["label"] for codec in planned] == ["fast", "shell", "gone"]
    assert planned[0]["targets"] == ["quality=20", "quality=50"]
    assert planned[0]["settings"] == "depth=8 speed=9 subsampling=420"


def test_plan_that_cannot_be_read_is_a_usage_error(tmp_path):
    result = run("--plan", str(tmp_path / "plan.toml"))
    assert result.exit_code == 2
    assert "plan.toml" in result.stderr
