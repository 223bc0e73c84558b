import pytest

from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference.evaluation.contenders import (
    check_early_stopping,
    choose_variants,
    name_metrics,
    name_recipes,
)
from roi_ray.preference.model.recipes import RECIPES


def test_recipe_that_stops_early_is_also_trained_for_all_epochs() -> None:
    variants = choose_variants(["roi-ray", "paper"])
    assert list(variants) == ["roi-ray", "paper", "paper, 50 epochs"]
    assert variants["paper"] == RECIPES["paper"]
    assert variants["paper"].early_stopping and not variants["paper, 50 epochs"].early_stopping
    with pytest.raises(UsageError, match="unknown recipe"):
        choose_variants(["other"])


def test_each_recipe_is_trained_on_basic_features_and_on_all() -> None:
    named = name_recipes(choose_variants(["roi-ray"]))
    assert [name for name, _, _ in named] == ["BASIC roi-ray", "ROI roi-ray"]
    basic, all_features = (features for _, _, features in named)
    assert all_features == RECIPES["roi-ray"].features
    assert basic == tuple(name for name in all_features if not name.startswith("roi_"))


def test_metric_alone_is_the_default_recipe_with_one_feature() -> None:
    (metric,) = name_metrics(["roi_lpips"])
    assert metric[0] == "roi_lpips" and metric[2] == metric[1].features == ("roi_lpips",)
    assert metric[1].network == RECIPES["roi-ray"].network


def test_early_stopping_needs_three_references_in_every_training() -> None:
    recipes = choose_variants(["roi-ray", "paper"])
    check_early_stopping(recipes, 4, 4)
    for references, folds, left in ((3, 3, 2), (4, 2, 2), (5, 2, 2)):
        with pytest.raises(ManifestError, match=rf"leave {left}: choose --recipe roi-ray"):
            check_early_stopping(recipes, references, folds)
    check_early_stopping(choose_variants(["roi-ray"]), 2, 2)
