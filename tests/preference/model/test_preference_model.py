import dataclasses
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import save_file

from roi_ray import schema
from roi_ray.errors import ManifestError, UsageError, WeightsError
from roi_ray.models import loader
from roi_ray.preference.comparisons.examples import Examples, to_examples
from roi_ray.preference.model.networks import build
from roi_ray.preference.model.preference_model import (
    PreferenceModel,
    load_preference_model,
    save_preference_model,
)
from roi_ray.preference.model.recipes import DEFAULT_RECIPE, RECIPES, find_recipe
from roi_ray.preference.model.scale import Scale
from roi_ray.preference.training.train import train_in_process
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL
from tests.preference.synthetic import comparisons

FEATURES = ("psnr", "lpips", "roi_ms_ssim")
EXAMPLES = to_examples(comparisons(references=4, each=20), FEATURES, "synthetic")


def untrained(recipe, seed=0):
    torch.manual_seed(seed)
    network = build(recipe, len(FEATURES))
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    recipe = replace(recipe, features=FEATURES)
    return PreferenceModel(FEATURES, recipe, Scale.fit(EXAMPLES, recipe), network, {"seed": seed})


VALUES = arrays.arrays(
    np.float64, (5, 3), elements=st.floats(0, 100, allow_nan=False, allow_subnormal=False)
)


@pytest.mark.parametrize("name", RECIPES)
@given(a=VALUES, b=VALUES)
@settings(max_examples=50, deadline=None)
def test_probabilities_of_both_orders_add_up_to_exactly_one(name, a, b):
    model = untrained(RECIPES[name])
    forward, swapped = model.predict(a, b), model.predict(b, a)
    assert np.array_equal(forward, 1 - swapped)
    assert ((forward >= 0) & (forward <= 1)).all()
    assert np.array_equal(model.predict(a, a), np.full(5, 0.5))


def test_row_with_nan_feature_has_nan_prediction():
    a = EXAMPLES.a.copy()
    a[1, 2] = np.nan
    predicted = untrained(RECIPES["roi-ray"]).predict(a, EXAMPLES.b)
    assert np.flatnonzero(np.isnan(predicted)).tolist() == [1]


def test_scale_of_the_mask_cancels_out_in_logarithms():
    model = untrained(RECIPES["roi-ray"])
    factor = np.array([1, 1, 0.3])
    np.testing.assert_allclose(
        model.predict(EXAMPLES.a, EXAMPLES.b),
        model.predict(EXAMPLES.a * factor, EXAMPLES.b * factor),
        atol=1e-5,
    )


@pytest.mark.parametrize("name", RECIPES)
def test_loaded_model_predicts_like_the_saved_one(tmp_path, name):
    model = untrained(RECIPES[name])
    uri = str(tmp_path / "model.safetensors")
    save_preference_model(uri, model)
    loaded = load_preference_model(uri)
    assert loaded.features == FEATURES
    assert loaded.recipe == replace(RECIPES[name], features=FEATURES)
    assert loaded.provenance == {"seed": 0}
    assert loaded.identity["name"] == "model.safetensors"
    assert len(loaded.identity["sha256"]) == 64
    expected = model.predict(EXAMPLES.a, EXAMPLES.b)
    assert np.array_equal(loaded.predict(EXAMPLES.a, EXAMPLES.b), expected)


def test_missing_feature_column_is_refused():
    model = untrained(RECIPES["roi-ray"])
    table = comparisons(references=2, each=3)
    assert model.predict_table(table, "here").shape == (6,)
    with pytest.raises(
        ManifestError, match="needs the features roi_ms_ssim, which the comparisons here do not"
    ):
        model.predict_table(table.drop_columns(["roi_ms_ssim_b"]), "here")


def test_features_from_other_weights_are_refused():
    model = untrained(RECIPES["roi-ray"])
    model.provenance["scored_with"] = "lpips=alex"
    table = comparisons(references=2, each=3)
    assert model.predict_table(table, "here").shape == (6,)  # unknown provenance is accepted
    same, other = (
        table.append_column("scored_with", pa.array([text] * 6))
        for text in ("lpips=alex", "lpips=vgg")
    )
    assert model.predict_table(same, "here").shape == (6,)
    with pytest.raises(ManifestError, match="(?s)other weights or settings.*lpips=alex.*lpips=vgg"):
        model.predict_table(other, "here")


def test_features_of_another_scoring_version_are_refused_and_the_older_side_is_named():
    model = untrained(RECIPES["roi-ray"])
    table = comparisons(references=2, each=3)
    older = (
        "the features of comparisons here are older .*: they are of a scoring version before 3, "
        "the model is of scoring version 3. Score their images again"
    )
    newer = (
        "the model is older than the features of comparisons here: it is of scoring version 2, "
        "they are of scoring version 3. Train it again"
    )
    both = "(?s){}.*model: +{}.*comparisons: +{}"
    for ours, theirs, message in (
        ("lpips=alex", "scoring_version=3 lpips=alex", older),
        ("scoring_version=3 lpips=alex", "scoring_version=2 lpips=alex", newer),
    ):
        model.provenance["scored_with"] = theirs
        rows = table.append_column("scored_with", pa.array([ours] * 6))
        with pytest.raises(ManifestError, match=both.format(message, theirs, ours)):
            model.predict_table(rows, "here")


def test_other_weights_file_and_missing_file_are_refused(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="other.safetensors is not a preference model"):
        load_preference_model(str(tmp_path / "other.safetensors"))
    with pytest.raises(WeightsError, match="nowhere"):
        load_preference_model(str(tmp_path / "nowhere.safetensors"))
    with pytest.raises(WeightsError, match="photo.png is not a preference model: give the "):
        load_preference_model(str(tmp_path / "photo.png"))


@pytest.mark.parametrize("name", RECIPES)
def test_scale_does_not_depend_on_which_candidate_is_a(name):
    # With `a` always the one with the better PSNR, all differences have one sign.
    swapped = EXAMPLES.swapped()
    better = EXAMPLES.a[:, 0] > EXAMPLES.b[:, 0]
    sides = (np.where(better[:, None], getattr(EXAMPLES, n), getattr(swapped, n)) for n in "ab")
    p_a = np.where(better, EXAMPLES.p_a, swapped.p_a)
    other = Examples(FEATURES, *sides, p_a, EXAMPLES.weight, EXAMPLES.group)
    one, two = (Scale.fit(examples, RECIPES[name]) for examples in (EXAMPLES, other))
    np.testing.assert_allclose(two.spread, one.spread)
    np.testing.assert_allclose(two.centre, one.centre)


@pytest.mark.parametrize("name", RECIPES)
def test_feature_that_is_constant_in_training_is_ignored(name):
    table = comparisons(references=12)
    for side in schema.SIDES:
        at = table.column_names.index(f"roi_lpips_{side}")
        table = table.set_column(at, f"roi_lpips_{side}", pa.array(np.full(len(table), 1e-6)))
    recipe = find_recipe(name, epochs=10 if name == "paper" else None)
    model = train_in_process(to_examples(table, schema.PAPER_FEATURES, "constant"), recipe)
    others = to_examples(comparisons(references=40, seed=1), schema.PAPER_FEATURES, "others")
    chosen = others.only(model.features)
    predicted = model.predict(chosen.a, chosen.b)
    assert ((predicted > 0.5) == (others.p_a > 0.5)).mean() > 0.8


@pytest.mark.parametrize("change", [{"provenance": None}, {"centre": [1.0]}, {"spread": ["x"] * 3}])
def test_damaged_metadata_is_refused(tmp_path, change):
    uri = str(tmp_path / "m.safetensors")
    save_preference_model(uri, untrained(RECIPES["roi-ray"]))
    weights = loader.load_weights(uri)
    facts = json.loads(weights.metadata["roi_ray"]) | change
    save_file(weights.tensors, uri, {"roi_ray": json.dumps(facts)})
    with pytest.raises(WeightsError, match="is not a preference model"):
        load_preference_model(uri)


def test_unknown_feature_in_a_file_is_refused(tmp_path):
    uri = str(tmp_path / "m.safetensors")
    save_preference_model(
        uri, replace(untrained(RECIPES["roi-ray"]), features=("psnr2", *FEATURES[1:]))
    )
    with pytest.raises(WeightsError, match="of the feature 'psnr2', which this version"):
        load_preference_model(uri)


def test_packaged_model_has_the_default_recipe_and_its_identity():
    model = load_preference_model()
    recipe = RECIPES[DEFAULT_RECIPE]
    assert model.recipe == replace(recipe, features=model.features)
    assert set(model.features) <= set(recipe.features)  # those whose weight is not 0
    assert model.features == model.recipe.features
    assert model.identity["name"] == f"{DEFAULT_PREFERENCE_MODEL}.safetensors"
    card = loader.WEIGHTS_FOLDER / f"{DEFAULT_PREFERENCE_MODEL}.md"
    assert model.identity["sha256"] in card.read_text()


def test_scores_predict_like_their_features():
    model = untrained(RECIPES["roi-ray"])
    names = [field.name for field in dataclasses.fields(schema.Scores)]
    a, b = (
        [schema.Scores(**dict.fromkeys(names, 1.0) | dict(zip(FEATURES, row, strict=True)))]
        for row in (EXAMPLES.a[0], EXAMPLES.b[0])
    )
    assert model.predict(a, b) == model.predict(EXAMPLES.a[:1], EXAMPLES.b[:1])
    with pytest.raises(UsageError, match=r"such as \[scores_a\]"):
        model.predict(a[0], b[0])


@pytest.mark.parametrize(
    "recipe",
    [
        {"network": "utility", "weight_decay": 0.01, "lr": 0.02},
        {"network": "utility", "decay": 0.01},
        {"network": "mlp"},
    ],
)
def test_model_of_an_older_version_is_refused(tmp_path, recipe):
    uri = str(tmp_path / "m.safetensors")
    save_preference_model(uri, untrained(RECIPES["roi-ray"]))
    weights = loader.load_weights(uri)
    facts = json.loads(weights.metadata["roi_ray"]) | {"recipe": recipe}
    save_file(weights.tensors, uri, {"roi_ray": json.dumps(facts)})
    with pytest.raises(WeightsError, match="m.safetensors was trained by an older version"):
        load_preference_model(uri)
