import pytest

from roi_ray.errors import UsageError
from roi_ray.preference.model.recipes import RECIPES, find_recipe


def test_unknown_recipe_is_a_usage_error():
    with pytest.raises(UsageError, match="unknown recipe 'other': choose from paper, roi-ray"):
        find_recipe("other")


def test_number_of_epochs_switches_early_stopping_off():
    recipe = find_recipe("paper", 50)
    assert (recipe.epochs, recipe.early_stopping) == (50, False)
    assert RECIPES["paper"].early_stopping


def test_epochs_of_a_recipe_without_epochs_are_a_usage_error():
    with pytest.raises(UsageError, match="'roi-ray' has no epochs: it is fitted until it converge"):
        find_recipe("roi-ray", 50)
