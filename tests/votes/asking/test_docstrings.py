import doctest

import pytest

from roi_ray.votes.asking import information, model_posterior, orders, plan, ranking_posterior


@pytest.mark.parametrize(
    "module",
    [information, model_posterior, orders, plan, ranking_posterior],
    ids=lambda module: module.__name__,
)
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
