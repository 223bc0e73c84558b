"""The command line of the job that a test file is named after."""

import importlib.util
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

JOBS = Path(__file__).parents[2] / "jobs"


@pytest.fixture(scope="module")
def run(request):
    name = request.path.stem.removeprefix("test_")
    spec = importlib.util.spec_from_file_location(name, JOBS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app = typer.Typer()
    app.command()(module.main)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])
