"""The settings that a preference model needs."""

from dataclasses import replace

import pytest

from roi_ray import schema
from roi_ray.errors import UsageError
from roi_ray.preference.comparisons.provenance import find_differences
from roi_ray.preference.model.needs import add_needs, check_scoring, describe_scoring
from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.scoring.scorer import load_networks_for
from roi_ray.settings import Settings

WEIGHTS = load_networks_for(Settings()).provenance


def trained_on(**changes):
    """Return the packaged model as if it was trained on scores of other settings."""
    config = {"weights": WEIGHTS, **changes}
    settings = Settings(**{k: v for k, v in config.items() if k != "weights"})
    model = load_preference_model()
    scored_with = describe_scoring(settings, config["weights"])
    return replace(model, provenance={**model.provenance, schema.SCORED_WITH: scored_with})


def test_metrics_of_the_features_are_added_to_those_asked_for() -> None:
    model = replace(load_preference_model(), features=("psnr", "roi_ssimulacra2"))
    assert add_needs(model, Settings()).metrics == ("ssimulacra2",)
    model = replace(model, features=schema.PAPER_FEATURES)
    assert add_needs(model, Settings()).metrics == ()
    assert add_needs(model, Settings(metrics=("ssimulacra2",))).metrics == ("ssimulacra2",)


def test_automatic_precision_becomes_that_of_the_training() -> None:
    model = trained_on(precision="fp16")
    assert add_needs(model, Settings(precision="auto")).precision == "fp16"
    assert add_needs(model, Settings(precision="fp32")).precision == "fp32"
    unknown = replace(model, provenance={})
    assert add_needs(unknown, Settings(precision="auto")).precision == "auto"


def test_default_settings_fit_the_packaged_model() -> None:
    model = load_preference_model()
    check_scoring(model, add_needs(model, Settings()), WEIGHTS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roi_weighting": "normalised"}, "roi_weighting is mean, but it needs normalised. Score"),
        ({"precision": "bf16"}, "precision is fp32, but it needs bf16. Score with"),
        (
            {"weights": {**WEIGHTS, "lpips": [{"name": "my net.pth", "sha256": "ab" * 32}]}},
            r"lpips is lpips-alexnet\S+, but it needs my net.pth:abababababab. Score with",
        ),
        (
            {"weights": {**WEIGHTS, "saliency": [{"name": "u2net.pth", "sha256": "cd" * 32}]}},
            r"saliency is saliency-lite0\S+, but it needs u2net.pth:cdcdcdcdcdcd. Score with",
        ),
    ],
)
def test_other_settings_are_refused_by_name(changes, message) -> None:
    with pytest.raises(UsageError, match=f"was trained on other scores: {message}"):
        check_scoring(trained_on(**changes), Settings(), WEIGHTS)


def test_another_scoring_version_is_refused() -> None:
    model = load_preference_model()
    old = "roi_weighting=mean precision=fp32 lpips=a.pth:1"
    model = replace(model, provenance={schema.SCORED_WITH: old})
    with pytest.raises(UsageError, match="trained on scores of a scoring version before 3, but"):
        check_scoring(model, Settings(), WEIGHTS)


def test_model_without_provenance_is_not_checked() -> None:
    model = replace(load_preference_model(), provenance={})
    check_scoring(model, Settings(roi_weighting="normalised"), WEIGHTS)


def test_differences_name_what_only_one_text_has() -> None:
    ours, theirs = "scoring_version=3 a=x y.pth:1+z.pth:2 b=1", "a=x y.pth:1+z.pth:2 b=2 c=3"
    assert find_differences(ours, theirs) == [
        ("scoring_version", "3", None),
        ("b", "1", "2"),
        ("c", None, "3"),
    ]
