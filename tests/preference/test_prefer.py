"""Which of two images people prefer, on photographs."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from safetensors import safe_open

import roi_ray
from roi_ray import Settings, schema
from roi_ray.errors import ImageReadError, SizeMismatch, UnusableMask, UsageError, WeightsError
from roi_ray.models import loader
from roi_ray.preference.comparisons.examples import to_examples
from roi_ray.preference.comparisons.regions import basic_feature
from roi_ray.preference.explanation import explain_pair
from roi_ray.preference.groups import group_of
from roi_ray.preference.model.networks import build
from roi_ray.preference.model.preference_model import (
    PreferenceModel,
    load_preference_model,
    save_preference_model,
)
from roi_ray.preference.model.recipes import RECIPES
from roi_ray.preference.model.scale import Scale
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL
from tests.conftest import deepen, encode, write
from tests.preference.synthetic import comparisons


@pytest.fixture(scope="module")
def photo(photos):
    return photos["coffee"][80:260, 150:350]


def jpeg(pixels, quality, **options):
    return encode(pixels, "JPEG", quality=quality, **options)


def compute_contributions(scores_a, scores_b):
    """Compute the contributions from the numbers in the packaged file, in float64."""
    file = loader.WEIGHTS_FOLDER / f"{DEFAULT_PREFERENCE_MODEL}.safetensors"
    with safe_open(str(file), "np") as opened:
        weights = opened.get_tensor("linear")[0].astype(np.float64)
        facts = json.loads(opened.metadata()["roi_ray"])
    contributions = {}
    for weight, name, spread in zip(weights, facts["features"], facts["spread"], strict=True):
        column = basic_feature(name) if scores_a.roi_psnr is None else name
        a, b = getattr(scores_a, column), getattr(scores_b, column)
        if not basic_feature(name).startswith(("psnr", "ssimulacra2", "texture")):
            a, b = (math.log(max(value, 1e-10)) for value in (a, b))
        difference = (a - b) / spread
        beyond = math.copysign(max(abs(difference) - 5, 0), difference)
        contributions[name] = weight * difference if weight else beyond
    return contributions


def check_parts(preference):
    """Check that the parts of a result belong together, and to the model's file."""
    expected = compute_contributions(preference.scores_a, preference.scores_b)
    shares = {each.column: each.logit for each in preference.contributions}
    assert shares == pytest.approx(expected, rel=1e-4, abs=1e-4)
    sizes = [abs(each.logit) for each in preference.contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert preference.logit == pytest.approx(sum(expected.values()), rel=1e-4, abs=1e-4)
    assert preference.logit == pytest.approx(math.fsum(shares.values()), abs=1e-12)
    sigmoid = 1 / (1 + math.exp(-preference.logit))
    assert preference.probability == pytest.approx(sigmoid, abs=1e-5)
    for group in preference.groups:
        members = {name for name in shares if group_of(name) == group.group}
        assert set(group.columns) == {name for name in members if shares[name]}
        region = sum(shares[name] for name in members if name.startswith("roi_"))
        assert group.region == pytest.approx(region, abs=1e-12)
        assert group.logit == pytest.approx(sum(shares[name] for name in members), abs=1e-12)
    assert preference.logit == pytest.approx(sum(g.logit for g in preference.groups), abs=1e-12)


def test_better_jpeg_is_preferred_and_every_share_is_that_of_the_model(photo):
    preference = roi_ray.prefer(photo, jpeg(photo, 80), jpeg(photo, 60))
    check_parts(preference)
    assert 0.55 < preference.probability < 1
    assert preference.groups[0].group == "overall error"
    assert preference.unexplained is None
    assert not preference.without_region
    assert preference.model["name"] == f"{DEFAULT_PREFERENCE_MODEL}.safetensors"
    assert preference.limits.startswith("It was trained on ")


def test_scores_are_those_of_score(photo):
    model = load_preference_model()
    metrics = set(filter(None, map(schema.optional_metric, model.features)))
    a, b = jpeg(photo, 75), jpeg(photo, 30)
    preference = roi_ray.prefer(photo, a, b)
    scores = roi_ray.score(photo, [a, b], settings=Settings(metrics=tuple(metrics)))
    assert [preference.scores_a, preference.scores_b] == scores
    for each in preference.contributions:
        values = [getattr(one, each.column) for one in scores]
        assert [each.a, each.b] == values


@pytest.mark.parametrize(
    "make",
    [
        lambda photo: (jpeg(photo, 80, subsampling=0), jpeg(photo, 80, subsampling=2)),
        lambda photo: (
            Image.fromarray(photo).filter(ImageFilter.GaussianBlur(1.5)),
            encode(photo, "WEBP", quality=40),
        ),
        lambda photo: (deepen(photo, 12), jpeg(photo, 50)),
        lambda photo: (photo // 64 * 64 + 32, jpeg(photo, 5)),
    ],
    ids=["chroma", "blur", "12 bits", "far apart"],
)
def test_swapped_images_have_exactly_the_opposite_prediction(photo, make):
    a, b = make(photo)
    forward, backward = roi_ray.prefer(photo, a, b), roi_ray.prefer(photo, b, a)
    check_parts(forward)
    assert forward.probability == 1 - backward.probability
    assert forward.logit == -backward.logit
    opposite = {each.column: -each.logit for each in backward.contributions}
    assert {each.column: each.logit for each in forward.contributions} == opposite
    assert (forward.scores_a, forward.scores_b) == (backward.scores_b, backward.scores_a)
    assert forward.warnings == backward.warnings


def test_identical_images_are_preferred_equally(photo):
    data = jpeg(photo, 70)
    preference = roi_ray.prefer(photo, data, Image.open(io.BytesIO(data)))
    assert (preference.probability, preference.logit) == (0.5, 0)
    assert all(each.logit == 0 for each in preference.contributions)


def test_deep_original_and_images_are_scored_at_their_depths(photo):
    deep = deepen(photo, 10)
    preference = roi_ray.prefer(deep, deepen(photo // 2 + 64, 12, seed=1), photo)
    check_parts(preference)
    assert preference.scores_a.reference_bit_depth == 10
    depths = [side.distorted_bit_depth for side in (preference.scores_a, preference.scores_b)]
    assert depths == [12, 8]
    assert preference.probability < 0.5


def test_mask_that_is_given_decides_the_region(photo):
    """The left half of one image is spoilt, the right half of the other: the mask decides."""
    good, bad = (np.array(Image.open(io.BytesIO(jpeg(photo, q)))) for q in (90, 15))
    half = photo.shape[1] // 2
    a, b = good.copy(), bad.copy()
    a[:, half:], b[:, half:] = bad[:, half:], good[:, half:]
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[:, :half] = 255
    left = roi_ray.prefer(photo, a, b, mask=mask)
    right = roi_ray.prefer(photo, a, b, mask=255 - mask)
    check_parts(left)
    region = [sum(group.region for group in each.groups) for each in (left, right)]
    assert region[0] > 0.5 > -0.5 > region[1]
    whole = [sum(group.whole_image for group in each.groups) for each in (left, right)]
    assert whole[0] == pytest.approx(whole[1])


def test_empty_mask_takes_the_numbers_of_the_whole_image(photo):
    mask = np.zeros(photo.shape[:2], bool)
    preference = roi_ray.prefer(photo, jpeg(photo, 80), jpeg(photo, 60), mask=mask)
    check_parts(preference)
    assert preference.without_region
    assert preference.scores_a.roi_psnr is None
    values = {each.column: (each.a, each.b) for each in preference.contributions}
    assert "roi_psnr" in values
    for column, numbers in values.items():
        assert numbers == values.get(basic_feature(column), numbers)
    assert preference.probability > 0.5


def test_paths_bytes_arrays_and_pillow_images_give_the_same(photo, tmp_path):
    a, b = jpeg(photo, 80), jpeg(photo, 60)
    write(tmp_path / "x.png", encode(photo))
    write(tmp_path / "a.jpg", a)
    from_files = roi_ray.prefer(tmp_path / "x.png", str(tmp_path / "a.jpg"), b)
    in_memory = roi_ray.prefer(Image.fromarray(photo), a, roi_ray.load_image(b))
    assert from_files == in_memory


def test_images_far_from_the_training_are_named(photo):
    assert roi_ray.prefer(photo, jpeg(photo, 80), jpeg(photo, 75)).warnings == ()
    apart = roi_ray.prefer(photo, jpeg(photo, 95), jpeg(photo, 3)).warnings
    assert "the images are further apart than almost all pairs of the training, in " in apart[0]
    coarse = jpeg(photo, 2)
    outside = roi_ray.prefer(photo, coarse, coarse).warnings[0]
    assert "an image is far from those of the training, in " in outside


def test_spoiled_colour_loses_and_is_named(photo):
    luma, blue, red = Image.fromarray(photo).convert("YCbCr").split()
    faded = np.array(Image.merge("YCbCr", (luma, blue.point(lambda _: 128), red)).convert("RGB"))
    preference = roi_ray.prefer(photo, faded, jpeg(photo, 75))
    assert preference.probability < 0.1
    assert "further apart than almost all pairs of the training, in " in preference.warnings[0]
    assert {each.column: each.logit for each in preference.contributions}["mse_cb"] < -0.5


def test_dictionary_is_json_with_everything(photo):
    preference = roi_ray.prefer(photo, jpeg(photo, 80), jpeg(photo, 60))
    document = json.loads(json.dumps(preference.to_dict(), allow_nan=False))
    assert document["probability"] == preference.probability
    assert document["scores"]["b"] == preference.scores_b.to_dict()
    shares = [each["logit"] for each in document["contributions"]]
    assert shares == [each.logit for each in preference.contributions]
    assert [each["logit"] for each in document["groups"]] == [g.logit for g in preference.groups]
    assert set(document) == {
        *("probability", "logit", "contributions", "groups", "unexplained", "without_region"),
        *("warnings", "limits", "scores", "model"),
    }


@pytest.fixture
def paper_model(tmp_path):
    """A model of the paper's recipe, from a file; its network is not trained."""
    features = schema.PAPER_FEATURES
    examples = to_examples(comparisons(references=4, each=20), features, "synthetic")
    recipe = RECIPES["paper"]
    scale = Scale.fit(examples, recipe)
    model = PreferenceModel(features, recipe, scale, build(recipe, len(features)))
    save_preference_model(str(tmp_path / "paper.safetensors"), model)
    return str(tmp_path / "paper.safetensors")


def test_model_that_is_no_sum_has_no_contributions_and_says_why(photo, paper_model):
    a, b = jpeg(photo, 80), jpeg(photo, 60)
    preference = roi_ray.prefer(photo, a, b, model=paper_model)
    assert preference.contributions is None and preference.groups is None
    assert "is not a sum over its measurements" in preference.unexplained
    p = preference.probability
    assert preference.logit == pytest.approx(math.log(p / (1 - p)))
    assert preference.model["name"] == "paper.safetensors"
    assert preference.limits == "The model does not say what it was trained on."
    swapped = roi_ray.prefer(photo, b, a, model=load_preference_model(paper_model))
    assert swapped.probability == 1 - p
    assert swapped.logit == -preference.logit
    json.dumps(preference.to_dict(), allow_nan=False)
    with pytest.raises(UsageError, match="network 'mlp' is not a sum over its features"):
        load_preference_model(paper_model).explain([preference.scores_a], [preference.scores_b])


class Certain(torch.nn.Module):
    """A network that has no doubt."""

    def forward(self, a, b):
        return 1000 * (a - b)[:, 0].sign()


def test_logit_of_a_model_without_doubt_is_finite(photo):
    a, b = roi_ray.score(photo, [jpeg(photo, 80), jpeg(photo, 60)])
    scale = Scale(np.zeros(1), np.ones(1), False)
    model = replace(load_preference_model(), features=("psnr",), scale=scale, network=Certain())
    forward, backward = explain_pair(model, a, b), explain_pair(model, b, a)
    assert (forward.probability, forward.logit) == (1, 28)
    assert (backward.probability, backward.logit) == (0, -28)


@pytest.mark.parametrize(
    "settings", [Settings(roi_weighting="normalised"), Settings(lpips="st-alex")]
)
def test_settings_that_the_model_does_not_know_are_refused(photo, settings):
    with pytest.raises(UsageError, match="was trained on other scores: (roi_weighting|lpips) is "):
        roi_ray.prefer(photo, photo, photo, settings=settings)


def test_unusable_images_masks_and_models_are_named(photo, tmp_path):
    with pytest.raises(SizeMismatch, match="^image b: "):
        roi_ray.prefer(photo, photo, photo[:100])
    with pytest.raises(ImageReadError, match="^image a: "):
        roi_ray.prefer(photo, jpeg(photo, 50)[:200], photo)
    with pytest.raises(ImageReadError, match="^original: "):
        roi_ray.prefer(tmp_path / "gone.png", photo, photo)
    with pytest.raises(UnusableMask, match="^mask: "):
        roi_ray.prefer(photo, photo, photo, mask=np.ones(photo.shape[:2], np.uint8))
    with pytest.raises(WeightsError, match="gone"):
        roi_ray.prefer(photo, photo, photo, model=str(tmp_path / "gone.safetensors"))


def test_representation_says_who_wins_and_why(photo):
    text = repr(roi_ray.prefer(photo, jpeg(photo, 60), jpeg(photo, 80)))
    assert text.startswith("PairPreference(")
    assert " % prefer a: logit -" in text
    assert "overall error -" in text
