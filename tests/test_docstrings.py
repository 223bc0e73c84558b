"""Examples in the docstrings of public names run and print what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

import roi_ray

WITH_EXAMPLES = [
    ("roi_ray", "Scorer"),
    ("roi_ray", "Scores"),
    ("roi_ray", "Settings"),
    ("roi_ray", "load_image"),
    ("roi_ray", "load_preference_model"),
    ("roi_ray", "prefer"),
    ("roi_ray", "rank"),
    ("roi_ray", "score"),
    ("roi_ray", "compare"),
    ("roi_ray.metrics", "ms_ssim"),
    ("roi_ray.metrics", "mse"),
    ("roi_ray.metrics", "mse_ycbcr"),
    ("roi_ray.metrics", "psnr"),
    ("roi_ray.metrics", "ssimulacra2"),
    ("roi_ray.metrics", "texture"),
]


PACKAGE = Path(roi_ray.__file__).parent
MODULES = [
    "roi_ray." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for room in ("bench", "service", "votes", "web")
    for path in sorted((PACKAGE / room).rglob("*.py"))
    if ">>> " in path.read_text()
]


def run_examples(value: object, name: str, names: dict[str, object]) -> int:
    """Run the examples of an object and its public methods; return how many there are."""
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    output: list[str] = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(value, name, globs=names):
        runner.run(test, out=output.append)
    assert runner.failures == 0, "".join(output)
    return runner.tries


@pytest.mark.parametrize(("module", "name"), WITH_EXAMPLES)
def test_examples_of_public_names_run(module, name, without_ray) -> None:
    value = getattr(importlib.import_module(module), name)
    names = vars(importlib.import_module(value.__module__))
    assert run_examples(value, name, dict(names)) > 0


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["score_manifest", "verify_scores"])
def test_examples_of_jobs_run(name, without_ray) -> None:
    value = getattr(roi_ray, name)
    names = vars(importlib.import_module(value.__module__))
    assert run_examples(value, name, dict(names)) > 0


def test_example_of_the_package_runs() -> None:
    (test,) = doctest.DocTestFinder(recurse=False).find(roi_ray, "roi_ray")
    assert run_examples(roi_ray.__doc__, "roi_ray", {"__doc__": test.docstring}) > 0


@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")
@pytest.mark.parametrize("module", MODULES)
def test_examples_of_a_server_module_run(module) -> None:
    loaded = importlib.import_module(module)
    (first, *_) = doctest.DocTestFinder(exclude_empty=True).find(loaded, module)
    assert run_examples(loaded, module, dict(first.globs)) > 0
