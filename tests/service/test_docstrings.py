"""Examples in the docstrings of the parts of a service."""

import importlib

import pytest

from tests.test_docstrings import run_examples


@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("byte_budget", "ByteBudget"),
        ("decode", "decode_file"),
        ("local_backend", "LocalBackend"),
        ("reference_router", "prefer_idle"),
        ("reference_store", "ReferenceStore"),
        ("scoring_queue", "ScoringQueue"),
        ("tasks", "gather"),
    ],
)
def test_examples_run(module, name) -> None:
    names = vars(importlib.import_module(f"roi_ray.service.{module}"))
    assert run_examples(names[name], name, dict(names)) > 0
