import doctest

import pytest

from roi_ray.preference import compare, limits, model, ranking


@pytest.mark.parametrize(
    "module", [compare, limits, model, ranking], ids=lambda module: module.__name__
)
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
