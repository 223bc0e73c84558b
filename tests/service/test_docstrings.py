"""Examples in the docstrings of the parts of a service."""

import importlib

import pytest

from tests.test_docstrings import run_examples


@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("worker.byte_budget", "ByteBudget"),
        ("worker.decode", "decode_file"),
        ("local_backend", "LocalBackend"),
        ("cluster.reference_router", "prefer_idle"),
        ("worker.reference_store", "ReferenceStore"),
        ("worker.scoring_queue", "ScoringQueue"),
        ("worker.tasks", "gather"),
    ],
)
def test_examples_run(module, name) -> None:
    names = vars(importlib.import_module(f"roi_ray.service.{module}"))
    assert run_examples(names[name], name, dict(names)) > 0
