"""`roi-ray` as a whole: help, imports and exit codes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import roi_ray
from roi_ray.cli.app import PANELS, app, load_command
from tests.conftest import strip_colours

ROOT = Path(__file__).parents[2]
COMMANDS = [name for names in PANELS.values() for name in names]

HEAVY = ("PIL", "matplotlib", "numpy", "plotly", "polars", "pyarrow", "ray", "scipy", "torch")
"""Packages that take tenths of a second, or seconds, to import."""

SHOW_HELP = f"""
import json, sys
from roi_ray.cli.app import main
try:
    main()
except SystemExit as end:
    loaded = [name for name in {HEAVY} if name in sys.modules]
    print(json.dumps([end.code, loaded]))
"""


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_imports_nothing_heavy(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW_HELP, *name.split(), "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    *help_lines, last = done.stdout.splitlines()
    assert json.loads(last) == [0, []]
    assert f"Usage: roi-ray {name}".strip() in strip_colours("\n".join(help_lines))


def test_help_lists_every_command() -> None:
    text = strip_colours(CliRunner().invoke(app, ["--help"]).stdout)
    assert all(re.search(rf"^\W+{name} +\w", text, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = load_command(name)
    assert command.help
    without = [parameter.name for parameter in command.params if not parameter.help]
    assert not without


@pytest.mark.parametrize("name", COMMANDS)
def test_help_states_the_exit_codes(name: str) -> None:
    assert re.search(r"Exit codes: 0 if .*; 2 if ", load_command(name).help, re.DOTALL)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_submit_entry_or_needs_no_cluster(name: str) -> None:
    entry = ROOT / "jobs" / f"{name.replace('-', '_')}.py"
    if name in ("codecs", "pair"):
        assert not entry.exists()
    else:
        assert f'run("{name}")' in entry.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_named_in_a_readme(name: str) -> None:
    readmes = [ROOT / "README.md", *(ROOT / "roi_ray").rglob("README.md")]
    assert any(re.search(rf"roi-ray {name}\b(?!-)", path.read_text()) for path in readmes)


def test_version_option_prints_the_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"roi-ray {roi_ray.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scores"], "No such command 'scores'"),
        (["score", "--manifests", "m.csv"], "No such option: --manifests"),
        (["rank", "--by", "quality"], "Invalid value for '--by'"),
        (["pair", "original.png"], "Missing argument 'IMAGE'"),
    ],
)
def test_wrong_usage_exits_with_2_and_a_message(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in strip_colours(result.stderr)


def test_job_script_runs_its_command(tmp_path: Path) -> None:
    script = ROOT / "jobs" / "status.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
