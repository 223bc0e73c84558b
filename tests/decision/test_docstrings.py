"""Examples in the docstrings of the numbers of a decision run."""

import importlib

import pytest

from tests.test_docstrings import run_examples


@pytest.mark.parametrize(
    ("module", "name"),
    [("bd_rate", "bd_rate"), ("savings", "compute_saving"), ("decide", "decide")],
)
def test_examples_run(module, name) -> None:
    names = vars(importlib.import_module(f"roi_ray.decision.{module}"))
    assert run_examples(names[name], name, dict(names)) > 0
