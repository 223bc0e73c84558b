import doctest

import pytest

from roi_ray.votes.asking import (
    expected_tau,
    information,
    model_posterior,
    orders,
    plan,
    ranking_posterior,
    simulated_people,
    simulation,
    stopping,
)


@pytest.mark.parametrize(
    "module",
    [
        expected_tau,
        information,
        model_posterior,
        orders,
        plan,
        ranking_posterior,
        simulated_people,
        simulation,
        stopping,
    ],
    ids=lambda module: module.__name__,
)
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
