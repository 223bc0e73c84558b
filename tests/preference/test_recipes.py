import pytest

from roi_ray.errors import UsageError
from roi_ray.preference.recipes import find_recipe


def test_unknown_recipe_is_a_usage_error():
    with pytest.raises(UsageError, match="unknown recipe 'other': choose from paper, roi-ray"):
        find_recipe("other")
