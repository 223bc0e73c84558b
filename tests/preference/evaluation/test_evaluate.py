import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError, UsageError, WeightsError
from roi_ray.io.json_values import replace_non_finite
from roi_ray.models.loader import WEIGHTS_FOLDER
from roi_ray.preference.comparisons.examples import to_examples
from roi_ray.preference.comparisons.table import Comparisons
from roi_ray.preference.evaluation.breakdown import REPEATED_QUESTIONS
from roi_ray.preference.evaluation.evaluate import evaluate
from roi_ray.preference.evaluation.validation import predict_out_of_fold, recipe_learner
from roi_ray.preference.model.leakage import sample_hashes
from roi_ray.preference.model.preference_model import load_preference_model, save_preference_model
from roi_ray.preference.model.recipes import RECIPES
from roi_ray.preference.statistics import measures
from roi_ray.preference.training.train import train_in_process
from tests.preference.synthetic import comparisons

METRICS = RECIPES["roi-ray"].features


@pytest.fixture(scope="module")
def answered():
    return Comparisons(comparisons(references=10, each=30), "synthetic", "/", "0" * 64)


def save_model(uri, table, features=("psnr", "roi_psnr"), trained_on=None):
    examples = to_examples(table, features, "other")
    trained = train_in_process(examples, RECIPES["roi-ray"])
    if trained_on is not None:
        trained.provenance["comparisons"] = {
            "sample": sample_hashes(trained_on.only(trained.features))
        }
    save_preference_model(uri, trained)
    return uri


@pytest.fixture(scope="module")
def result(answered, tmp_path_factory):
    uri = str(tmp_path_factory.mktemp("model") / "m.safetensors")
    save_model(uri, comparisons(seed=3))
    lines = []
    evaluation = evaluate(
        answered, ["roi-ray"], models=[uri], folds=3, repeats=2, report=lines.append
    )
    return evaluation, uri, lines


def find(evaluation, name):
    return next(each for each in evaluation.results if each.name == name)


def with_names(comparisons_, **columns):
    table = comparisons_.table
    for name, values in columns.items():
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, pa.array(values, pa.string()))
    return replace(comparisons_, table=table)


def test_every_contender_has_every_number(result):
    evaluation, uri, lines = result
    names = [each.name for each in evaluation.results]
    main = ["BASIC roi-ray", "ROI roi-ray", f"model {uri}"]
    assert names[:3] == main
    assert set(names[3:]) == set(METRICS)
    assert (evaluation.comparisons, evaluation.references) == (300, 10)
    losses = [each.log_loss.value for each in evaluation.results]
    assert losses[3:] == sorted(losses[3:])
    for each in evaluation.results:
        assert each.log_loss.low < each.log_loss.value < each.log_loss.high
        assert each.accuracy.low <= each.accuracy.value <= each.accuracy.high <= 1
        assert 0 <= each.calibration_error < 0.5
    assert list(evaluation.reliability) == [*main, *METRICS]
    assert len(lines) == 2 + len(METRICS)
    assert lines[1] == f"2/{len(lines)} ROI roi-ray: 3 folds x 2"


def test_numbers_of_a_metric_are_those_of_its_own_model(answered, result):
    examples = to_examples(answered.table, METRICS, "synthetic")
    learner = recipe_learner(RECIPES["roi-ray"], ("lpips",))
    predicted = predict_out_of_fold(examples, learner, 3, 2)
    lpips = find(result[0], "lpips")
    loss = np.mean([measures.log_loss(p, examples.p_a) for p in predicted])
    right = ((predicted > 0.5) == examples.p_a).mean(0)
    assert lpips.log_loss.value == pytest.approx(loss)
    assert lpips.accuracy.value == pytest.approx(right.mean())
    mask = answered.table["codec_b"].to_numpy() == "webp"
    assert lpips.accuracy_by_part["jpeg / webp"] == pytest.approx(right[mask].mean())
    assert result[0].part_sizes["jpeg / webp"] == mask.sum()


def test_model_name_states_the_share_of_answers_it_was_trained_on(answered, tmp_path):
    half = answered.table.slice(0, 150)
    examples = to_examples(half, ("psnr", "roi_psnr"), "answered")
    uri = save_model(str(tmp_path / "m.safetensors"), half, trained_on=examples)
    results = evaluate(answered, [], models=[uri], folds=2, repeats=1).results
    assert results[0].name == f"model {uri}, trained on 50 % of these answers"
    # Without a recipe, the metrics are those of the models.
    assert {each.name for each in results[1:]} == set(load_preference_model(uri).features)


def test_model_may_need_features_that_no_recipe_has(answered, tmp_path):
    uri = save_model(str(tmp_path / "m.safetensors"), answered.table, ("mse", "lpips"))
    evaluation = evaluate(answered, [], models=[uri], folds=2, repeats=1)
    assert {each.name for each in evaluation.results[1:]} == set(
        load_preference_model(uri).features
    )
    assert "mse" in load_preference_model(uri).features
    assert not any("ms_ssim" in part for part in evaluation.part_sizes)


def test_unusable_model_fails_before_the_cross_validation(answered):
    lines_reported = []
    network = str(WEIGHTS_FOLDER / "saliency-lite0.safetensors")
    with pytest.raises(WeightsError, match="is not a preference model"):
        evaluate(answered, ["roi-ray"], models=[network], report=lines_reported.append)
    assert lines_reported == []


def test_nothing_to_evaluate_is_refused(answered):
    with pytest.raises(UsageError, match="name a recipe or a model"):
        evaluate(answered, [])


def test_missing_features_say_which_option_adds_them(answered):
    lacking = answered.table.drop_columns(["ssimulacra2_a", "ssimulacra2_b"])
    with pytest.raises(ManifestError, match="--metrics ssimulacra2"):
        evaluate(replace(answered, table=lacking), ["roi-ray"])


def test_ties_only_are_refused(answered):
    table = answered.table
    index = table.column_names.index("p_a")
    ties = table.set_column(index, "p_a", pa.array(np.full(len(table), 0.5)))
    with pytest.raises(ManifestError, match="no answer prefers"):
        evaluate(replace(answered, table=ties), ["roi-ray"])


def test_every_division_into_parts_covers_all_comparisons(result):
    sizes = result[0].part_sizes
    for names in (["bpp"], ["jpeg"], ["third"]):
        assert sum(n for part, n in sizes.items() if any(name in part for name in names)) == 300


def test_roi_features_are_significantly_better_where_people_follow_them():
    answers = Comparisons(comparisons(references=20, each=80), "synthetic", "/", "0" * 64)
    evaluation = evaluate(answers, ["roi-ray"], folds=3, repeats=1)
    test = evaluation.differences[0]
    assert (test.first, test.second) == ("ROI roi-ray", "BASIC roi-ray")
    assert test.log_loss.difference.high < 0 and test.log_loss.p < 0.01
    assert test.accuracy.difference.low > 0 and test.accuracy.p < 0.05
    best = evaluation.results[2].name
    assert best.startswith("roi_")
    assert (evaluation.differences[1].first, evaluation.differences[1].second) == (
        "ROI roi-ray",
        best,
    )


def test_without_methods_there_is_a_reason_and_no_row_of_names(result):
    evaluation = result[0]
    assert evaluation.people == {}
    for each in evaluation.results:
        assert each.ranking.pearson is None and each.kind != "method name"
        assert "no comparison names two different methods" in each.ranking.reason
        # The codecs of the synthetic answers: all of a are JPEG, half of b are WebP.
        assert list(each.bias.families) == ["jpeg", "webp"]


def test_methods_are_ranked_and_their_names_predict(answered, rng):
    names = np.array(["jpeg-1", "jpeg-2", "webp-1", "webp-2"])
    a = rng.integers(4, size=300)
    b = (a + rng.integers(1, 4, size=300)) % 4
    named = with_names(
        answered,
        method_a=names[a],
        method_b=names[b],
        codec_a=[name[:4] for name in names[a]],
        codec_b=[name[:4] for name in names[b]],
    )
    # People prefer the second setting of each encoder.
    better = np.where(b % 2 == a % 2, named.table["p_a"].to_numpy(), (a % 2 > b % 2) * 1.0)
    index = named.table.column_names.index("p_a")
    named = replace(named, table=named.table.set_column(index, "p_a", pa.array(better)))
    evaluation = evaluate(named, ["roi-ray"], folds=3, repeats=1)
    by_name = find(evaluation, "method's name alone")
    assert by_name.kind == "method name"
    assert by_name.log_loss.value < 0.5 < find(evaluation, "ROI roi-ray").log_loss.value
    assert by_name.ranking.pearson > 0.9
    assert evaluation.people["jpeg-2"] > 1 > -1 > evaluation.people["webp-1"]
    assert set(find(evaluation, "psnr").bias.families) == {"jpeg", "webp"}
    assert ("ROI roi-ray", "method's name alone") in [
        (each.first, each.second) for each in evaluation.differences
    ]


def test_one_method_gives_reasons(answered):
    same = with_names(answered, method_a=["m"] * 300, method_b=["m"] * 300, codec_b=["jpeg"] * 300)
    each = evaluate(same, ["roi-ray"], folds=2, repeats=1).results[0]
    assert "no comparison names two different methods" in each.ranking.reason
    assert each.bias.reason == "no comparison names two different methods or encoders"


def test_fewer_than_six_references_have_no_intervals(answered):
    few = replace(answered, table=answered.table.slice(0, 150))
    evaluation = evaluate(few, ["roi-ray"], folds=2, repeats=1)
    each, difference = evaluation.results[0], evaluation.differences[0]
    ends = [each.log_loss.low, each.accuracy.high, difference.log_loss.p, difference.accuracy.p]
    assert np.isnan(ends).all()
    assert all(bias.significant is None for bias in each.bias.families.values())


def test_repeated_questions_count_whichever_candidate_comes_first(answered):
    table = answered.table.slice(0, 60)
    turned = table.rename_columns(
        [{"a": "b", "b": "a"}.get(name, name) for name in table.column_names]
    ).select(table.column_names)
    for feature in schema.QUALITY_COLUMNS:
        for side, other in (("a", "b"), ("b", "a")):
            index = table.column_names.index(f"{feature}_{side}")
            turned = turned.set_column(index, f"{feature}_{side}", table[f"{feature}_{other}"])
    index = table.column_names.index("p_a")
    answers = pa.array(1 - table["p_a"].to_numpy())
    both = pa.concat_tables([answered.table, turned.set_column(index, table.field("p_a"), answers)])
    evaluation = evaluate(Comparisons(both, "", "/", ""), ["roi-ray"], folds=2, repeats=1)
    ceiling = evaluation.ceiling
    assert evaluation.part_sizes[REPEATED_QUESTIONS] == 120
    assert (ceiling.questions, ceiling.agreement, ceiling.implied_accuracy) == (60, 1, 1)
    assert (evaluation.repeated.majorities, evaluation.repeated.ties) == (60, 0)
    # Both answers agree, so that the majority is the answer.
    each = evaluation.results[1]
    assert each.majority_accuracy.value == pytest.approx(each.accuracy_by_part[REPEATED_QUESTIONS])


def test_no_repeated_question_has_no_ceiling_and_no_majority(result):
    evaluation = result[0]
    assert evaluation.ceiling is None and evaluation.repeated is None
    assert all(each.majority_accuracy is None for each in evaluation.results)


def test_json_has_all_numbers(result):
    evaluation = result[0]
    plain = json.loads(json.dumps(replace_non_finite(evaluation.to_json()), allow_nan=False))
    assert plain["paper"] == {"BASIC": 0.7672, "ROI": 0.784}
    first = plain["results"][0]
    assert first["log_loss"]["value"] == evaluation.results[0].log_loss.value
    assert first["ranking"]["pearson"] is None and first["ranking"]["reason"]
    assert set(first["bias"]["families"]["webp"]) == {
        "value",
        "low",
        "high",
        "methods",
        "significant",
    }
    assert plain["differences"][0]["first"] == "ROI roi-ray"
    assert plain["repeated"] is None
