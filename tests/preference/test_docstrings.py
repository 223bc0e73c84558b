import doctest

import pytest

from roi_ray.preference import compare
from roi_ray.preference.model import limits, preference_model
from roi_ray.preference.ranking import rank


@pytest.mark.parametrize(
    "module", [compare, limits, preference_model, rank], ids=lambda module: module.__name__
)
def test_examples_in_docstrings_run(module, without_ray):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
