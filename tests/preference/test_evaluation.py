import json

import numpy as np
import pyarrow as pa
import pytest

from roi_ray import schema
from roi_ray.errors import WeightsError
from roi_ray.imaging.decode import decode_image
from roi_ray.models.loader import WEIGHTS_FOLDER
from roi_ray.preference.breakdown import REPEATED_QUESTIONS
from roi_ray.preference.comparisons import Comparisons
from roi_ray.preference.evaluation import evaluate
from roi_ray.preference.examples import to_examples
from roi_ray.preference.leakage import sample_hashes
from roi_ray.preference.model import save_preference_model
from roi_ray.preference.recipes import RECIPES
from roi_ray.preference.training import train_in_process
from roi_ray.preference.validation import predict_by_metric
from roi_ray.report import preference as report
from tests.preference.synthetic import comparisons


@pytest.fixture(scope="module")
def answered():
    return Comparisons(comparisons(references=10, each=30), "synthetic", "/", "0" * 64)


@pytest.fixture(scope="module")
def result(answered, tmp_path_factory):
    uri = str(tmp_path_factory.mktemp("model") / "m.safetensors")
    examples = to_examples(comparisons(seed=3), ("psnr", "roi_psnr"), "other")
    save_preference_model(uri, train_in_process(examples, RECIPES["roi-ray"]))
    return evaluate(answered, ["roi-ray"], models=[uri], folds=3, repeats=2), uri


def test_every_model_and_rule_has_a_result(result):
    evaluation, uri = result
    names = [result.name for result in evaluation.results]
    models = ["BASIC roi-ray", "ROI roi-ray", "BASIC logistic", "ROI logistic", f"model {uri}"]
    assert names == [*models, *schema.PAPER_FEATURES]
    assert (evaluation.comparisons, evaluation.references) == (300, 10)
    for result in evaluation.results:
        assert 0.5 < result.accuracy.low <= result.accuracy.value <= result.accuracy.high <= 1
        assert (result.log_loss is None) == (result.name in schema.PAPER_FEATURES)
    assert list(evaluation.reliability) == models


def test_model_name_states_the_share_of_answers_it_was_trained_on(answered, tmp_path):
    half = answered.table.slice(0, 150)
    examples = to_examples(half, ("psnr", "roi_psnr"), "answered")
    trained = train_in_process(examples, RECIPES["roi-ray"])
    trained.provenance["comparisons"] = {"sample": sample_hashes(examples)}
    uri = str(tmp_path / "m.safetensors")
    save_preference_model(uri, trained)
    lines = evaluate(answered, [], models=[uri], folds=2, repeats=1).results
    assert f"model {uri}, trained on 50 % of these answers" in [result.name for result in lines]


def test_unusable_model_fails_before_the_cross_validation(answered):
    lines_reported = []
    network = str(WEIGHTS_FOLDER / "saliency-lite0.safetensors")
    with pytest.raises(WeightsError, match="is not a preference model"):
        evaluate(answered, ["roi-ray"], models=[network], report=lines_reported.append)
    assert lines_reported == []


def test_accuracy_of_a_rule_is_the_share_of_answers_it_predicts(answered, result):
    examples = to_examples(answered.table, schema.PAPER_FEATURES, "synthetic")
    lpips = next(each for each in result[0].results if each.name == "lpips")
    right = predict_by_metric(examples, "lpips") == examples.p_a
    assert lpips.accuracy.value == pytest.approx(right.mean())
    for name, mask in (("jpeg / webp", answered.table["codec_b"].to_numpy() == "webp"),):
        assert lpips.accuracy_by_part[name] == pytest.approx(right[mask].mean())
        assert result[0].part_sizes[name] == mask.sum()


def test_every_division_into_parts_covers_all_comparisons(result):
    sizes = result[0].part_sizes
    for names in (["bpp"], ["jpeg"], ["third"]):
        assert sum(n for part, n in sizes.items() if any(name in part for name in names)) == 300


def test_roi_features_are_significantly_better_where_people_follow_them(result):
    test = result[0].differences["ROI roi-ray - BASIC roi-ray"]
    assert test.difference.low > 0
    assert test.p < 0.01


def test_ceiling_counts_questions_with_swapped_candidates(answered):
    table = answered.table.slice(0, 60)
    turned = table.rename_columns(
        [{"a": "b", "b": "a"}.get(name, name) for name in table.column_names]
    ).select(table.column_names)
    index = table.column_names.index("p_a")
    answers = pa.array(1 - table["p_a"].to_numpy())
    both = pa.concat_tables([answered.table, turned.set_column(index, table.field("p_a"), answers)])
    again = Comparisons(both, "again", "/", "0" * 64)
    evaluation = evaluate(again, [], folds=2, repeats=1)
    ceiling = evaluation.ceiling
    assert evaluation.part_sizes[REPEATED_QUESTIONS] == 120
    assert np.std(decode_image(report.draw(evaluation))) > 10
    assert (ceiling.questions, ceiling.agreement, ceiling.implied_accuracy) == (60, 1, 1)
    # Another crop of the same images is another question.
    for number, name in enumerate(schema.CROP):
        both = both.append_column(name, pa.array(np.arange(len(both)) * (number == 0), pa.int32()))
    assert evaluate(Comparisons(both, "", "/", ""), [], folds=2, repeats=1).ceiling is None


def test_report_has_table_picture_and_json(result):
    evaluation, _ = result
    table = report.to_table(evaluation)
    assert table.row_count == len(evaluation.results) + 2
    parts = report.to_parts_table(evaluation, ["ROI roi-ray", "psnr"])
    assert parts.row_count == len(evaluation.part_sizes)
    assert np.std(decode_image(report.draw(evaluation))) > 10
    plain = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert plain["paper"] == {"BASIC": 0.7672, "ROI": 0.784}
    assert plain["results"][0]["accuracy"]["value"] == evaluation.results[0].accuracy.value
