"""Examples in the docstrings of the service run and print what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.test_docstrings import run_examples

PACKAGE = Path(__file__).parents[2] / "roi_ray"
MODULES = [
    "roi_ray." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in sorted((PACKAGE / "service").rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")
@pytest.mark.parametrize("module", MODULES)
def test_examples_of_a_module_run(module) -> None:
    loaded = importlib.import_module(module)
    (first, *_) = doctest.DocTestFinder(exclude_empty=True).find(loaded, module)
    assert run_examples(loaded, module, dict(first.globs)) > 0
