"""A fixture that invokes the command after which a test file is named."""

import importlib

import pytest
import typer
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def run(request):
    name = request.path.stem.removeprefix("test_")
    app = typer.Typer()
    app.command()(importlib.import_module(f"roi_ray.cli.{name}").main)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])
