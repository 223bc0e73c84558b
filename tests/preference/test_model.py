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
from roi_ray.errors import ManifestError, WeightsError
from roi_ray.models import loader
from roi_ray.preference.examples import Examples, to_examples
from roi_ray.preference.model import (
    PreferenceModel,
    Scale,
    load_preference_model,
    save_preference_model,
)
from roi_ray.preference.networks import build
from roi_ray.preference.recipes import RECIPES, Recipe
from roi_ray.preference.training import train_in_process
from tests.preference.synthetic import comparisons

FEATURES = ("psnr", "lpips", "roi_ms_ssim")
EXAMPLES = to_examples(comparisons(references=4, each=20), FEATURES, "synthetic")


def untrained(recipe, seed=0):
    torch.manual_seed(seed)
    network = build(recipe, len(FEATURES))
    return PreferenceModel(FEATURES, recipe, Scale.of(EXAMPLES, recipe), network, {"seed": seed})


VALUES = arrays.arrays(
    np.float64, (5, 3), elements=st.floats(0, 100, allow_nan=False, allow_subnormal=False)
)


@pytest.mark.parametrize("name", RECIPES)
@given(a=VALUES, b=VALUES)
@settings(max_examples=50, deadline=None)
def test_the_two_orders_add_up_to_exactly_one(name, a, b):
    model = untrained(RECIPES[name])
    there, back = model.predict(a, b), model.predict(b, a)
    assert np.array_equal(there, 1 - back)
    assert ((there >= 0) & (there <= 1)).all()
    assert np.array_equal(model.predict(a, a), np.full(5, 0.5))


@given(values=VALUES, step=st.floats(0.01, 10), feature=st.integers(0, 2))
@settings(max_examples=50, deadline=None)
def test_a_better_metric_cannot_hurt_a_monotone_model(values, step, feature):
    model = untrained(Recipe("utility", members=3, hidden=4, monotone=True))
    better = values.copy()
    better[:, feature] += -step if FEATURES[feature] == "lpips" else step
    assert (model.predict(better, values) >= 0.5).all()


def test_a_row_without_features_has_no_prediction():
    a = EXAMPLES.a.copy()
    a[1, 2] = np.nan
    predicted = untrained(RECIPES["roi-ray"]).predict(a, EXAMPLES.b)
    assert np.flatnonzero(np.isnan(predicted)).tolist() == [1]


def test_the_scale_of_a_mask_drops_out_of_logarithms():
    model = untrained(Recipe("utility", logarithms=True, hidden=0))
    factor = np.array([1, 1, 0.3])
    np.testing.assert_allclose(
        model.predict(EXAMPLES.a, EXAMPLES.b),
        model.predict(EXAMPLES.a * factor, EXAMPLES.b * factor),
        atol=1e-5,
    )


@pytest.mark.parametrize("name", RECIPES)
def test_a_saved_model_predicts_the_same(tmp_path, name):
    model = untrained(RECIPES[name])
    uri = str(tmp_path / "model.safetensors")
    save_preference_model(uri, model)
    loaded = load_preference_model(uri)
    assert loaded.features == FEATURES
    assert loaded.recipe == RECIPES[name]
    assert loaded.provenance == {"seed": 0}
    assert loaded.identity["name"] == "model.safetensors"
    assert len(loaded.identity["sha256"]) == 64
    expected = model.predict(EXAMPLES.a, EXAMPLES.b)
    assert np.array_equal(loaded.predict(EXAMPLES.a, EXAMPLES.b), expected)


def test_the_columns_must_be_the_model_s():
    model = untrained(RECIPES["roi-ray"])
    table = comparisons(references=2, each=3)
    assert model.predict_table(table, "here").shape == (6,)
    with pytest.raises(ManifestError, match="here have no column 'roi_ms_ssim_b'"):
        model.predict_table(table.drop_columns(["roi_ms_ssim_b"]), "here")


def test_features_of_another_make_are_refused():
    model = untrained(RECIPES["roi-ray"])
    model.provenance["scored_with"] = "lpips=alex"
    table = comparisons(references=2, each=3)
    assert model.predict_table(table, "here").shape == (6,)  # where it is not known
    same, other = (
        table.append_column("scored_with", pa.array([text] * 6))
        for text in ("lpips=alex", "lpips=vgg")
    )
    assert model.predict_table(same, "here").shape == (6,)
    with pytest.raises(ManifestError, match="(?s)other weights or settings.*lpips=alex.*lpips=vgg"):
        model.predict_table(other, "here")


def test_what_is_no_model_is_refused(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="other.safetensors is not a preference model"):
        load_preference_model(str(tmp_path / "other.safetensors"))
    with pytest.raises(WeightsError, match="nowhere"):
        load_preference_model(str(tmp_path / "nowhere.safetensors"))


def test_the_paper_s_network():
    network = build(RECIPES["paper"], len(schema.FEATURES))
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim == 2]
    assert shapes == [(192, 16), (64, 192), (64, 64), (32, 64), (2, 32)]
    logits = network(torch.zeros(7, 8), torch.ones(7, 8))
    assert logits.shape == (1, 7)


@pytest.mark.parametrize("name", RECIPES)
def test_which_candidate_is_called_a_changes_nothing(name):
    # The one of the better PSNR, always: then all differences have one sign.
    turned = EXAMPLES.swapped()
    better = EXAMPLES.a[:, 0] > EXAMPLES.b[:, 0]
    sides = (np.where(better[:, None], getattr(EXAMPLES, n), getattr(turned, n)) for n in "ab")
    p_a = np.where(better, EXAMPLES.p_a, turned.p_a)
    other = Examples(FEATURES, *sides, p_a, EXAMPLES.weight, EXAMPLES.group)
    one, two = (Scale.of(examples, RECIPES[name]) for examples in (EXAMPLES, other))
    np.testing.assert_allclose(two.spread, one.spread)
    np.testing.assert_allclose(two.centre, one.centre)


@pytest.mark.parametrize("name", RECIPES)
def test_a_feature_that_never_varied_in_training_says_nothing(name):
    table = comparisons(references=12)
    for side in schema.SIDES:
        at = table.column_names.index(f"roi_lpips_{side}")
        table = table.set_column(at, f"roi_lpips_{side}", pa.array(np.full(len(table), 1e-6)))
    recipe = dataclasses.replace(RECIPES[name], epochs=20)
    model = train_in_process(to_examples(table, schema.FEATURES, "constant"), recipe)
    others = to_examples(comparisons(references=40, seed=1), schema.FEATURES, "others")
    predicted = model.predict(others.a, others.b)
    assert ((predicted > 0.5) == (others.p_a > 0.5)).mean() > 0.8


@pytest.mark.parametrize("change", [{"provenance": None}, {"centre": [1.0]}, {"spread": ["x"] * 3}])
def test_a_damaged_file_is_no_model(tmp_path, change):
    uri = str(tmp_path / "m.safetensors")
    save_preference_model(uri, untrained(RECIPES["roi-ray"]))
    found = loader.load_weights(uri)
    facts = json.loads(found.metadata["roi_ray"]) | change
    save_file(found.tensors, uri, {"roi_ray": json.dumps(facts)})
    with pytest.raises(WeightsError, match="is not a preference model"):
        load_preference_model(uri)


def test_a_feature_of_no_such_name_is_refused(tmp_path):
    uri = str(tmp_path / "m.safetensors")
    save_preference_model(
        uri, replace(untrained(RECIPES["roi-ray"]), features=("psnr2", *FEATURES[1:]))
    )
    with pytest.raises(WeightsError, match="of the feature 'psnr2', which this version"):
        load_preference_model(uri)
