import doctest

import pytest

from roi_ray.preference import compare, model, ranking


@pytest.mark.parametrize("module", [compare, model, ranking], ids=lambda module: module.__name__)
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
