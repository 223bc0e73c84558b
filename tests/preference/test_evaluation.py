import json

import numpy as np
import pyarrow as pa
import pytest

from roi_ray import schema
from roi_ray.errors import WeightsError
from roi_ray.imaging.decode import decode_image
from roi_ray.models.loader import WEIGHTS_FOLDER
from roi_ray.preference.comparisons import Comparisons
from roi_ray.preference.evaluation import REPEATED_QUESTIONS, evaluate
from roi_ray.preference.examples import to_examples
from roi_ray.preference.model import save_preference_model
from roi_ray.preference.recipes import RECIPES
from roi_ray.preference.seen import sample
from roi_ray.preference.training import train_in_process
from roi_ray.preference.validation import predict_by_metric
from roi_ray.report import preference as report
from tests.preference.synthetic import comparisons


@pytest.fixture(scope="module")
def given():
    return Comparisons(comparisons(references=10, each=30), "synthetic", "/", "0" * 64)


@pytest.fixture(scope="module")
def result(given, tmp_path_factory):
    uri = str(tmp_path_factory.mktemp("model") / "m.safetensors")
    examples = to_examples(comparisons(seed=3), ("psnr", "roi_psnr"), "other")
    save_preference_model(uri, train_in_process(examples, RECIPES["roi-ray"]))
    return evaluate(given, ["roi-ray"], models=[uri], folds=3, repeats=2), uri


def test_every_model_and_rule_has_a_line(result):
    evaluation, uri = result
    names = [line.name for line in evaluation.lines]
    models = ["BASIC roi-ray", "ROI roi-ray", "BASIC logistic", "ROI logistic", f"model {uri}"]
    assert names == [*models, *schema.FEATURES]
    assert (evaluation.comparisons, evaluation.references) == (300, 10)
    for line in evaluation.lines:
        assert 0.5 < line.accuracy.low <= line.accuracy.value <= line.accuracy.high <= 1
        assert (line.log_loss is None) == (line.name in schema.FEATURES)
    assert list(evaluation.reliability) == models


def test_a_model_s_own_training_data_is_called_so(given, tmp_path):
    half = given.table.slice(0, 150)
    examples = to_examples(half, ("psnr", "roi_psnr"), "given")
    trained = train_in_process(examples, RECIPES["roi-ray"])
    trained.provenance["comparisons"] = {"sample": sample(examples)}
    uri = str(tmp_path / "m.safetensors")
    save_preference_model(uri, trained)
    lines = evaluate(given, [], models=[uri], folds=2, repeats=1).lines
    assert f"model {uri}, trained on 50 % of these" in [line.name for line in lines]


def test_a_model_that_cannot_be_used_is_found_first(given):
    said = []
    network = str(WEIGHTS_FOLDER / "saliency-lite0.safetensors")
    with pytest.raises(WeightsError, match="is not a preference model"):
        evaluate(given, ["roi-ray"], models=[network], report=said.append)
    assert said == []


def test_a_rule_s_accuracy_is_the_share_of_answers_it_predicts(given, result):
    examples = to_examples(given.table, schema.FEATURES, "synthetic")
    line = next(line for line in result[0].lines if line.name == "lpips")
    right = predict_by_metric(examples, "lpips") == examples.p_a
    assert line.accuracy.value == pytest.approx(right.mean())
    for name, mask in (("jpeg / webp", given.table["codec_b"].to_numpy() == "webp"),):
        assert line.parts[name] == pytest.approx(right[mask].mean())
        assert result[0].sizes[name] == mask.sum()


def test_parts_are_divisions_of_all_comparisons(result):
    sizes = result[0].sizes
    for names in (["bpp"], ["jpeg"], ["third"]):
        assert sum(n for part, n in sizes.items() if any(name in part for name in names)) == 300


def test_people_follow_the_mask_here(result):
    test = result[0].paired["ROI roi-ray - BASIC roi-ray"]
    assert test.difference.low > 0
    assert test.p < 0.01


def test_the_ceiling_is_of_questions_in_either_order(given):
    table = given.table.slice(0, 60)
    turned = table.rename_columns(
        [{"a": "b", "b": "a"}.get(name, name) for name in table.column_names]
    ).select(table.column_names)
    at = table.column_names.index("p_a")
    answers = pa.array(1 - table["p_a"].to_numpy())
    both = pa.concat_tables([given.table, turned.set_column(at, table.field("p_a"), answers)])
    again = Comparisons(both, "again", "/", "0" * 64)
    evaluation = evaluate(again, [], folds=2, repeats=1)
    ceiling = evaluation.ceiling
    assert evaluation.sizes[REPEATED_QUESTIONS] == 120
    assert np.std(decode_image(report.draw(evaluation))) > 10
    assert (ceiling.questions, ceiling.agreement, ceiling.implied) == (60, 1, 1)
    # Another part of the images is another question.
    for number, name in enumerate(schema.CROP):
        both = both.append_column(name, pa.array(np.arange(len(both)) * (number == 0), pa.int32()))
    assert evaluate(Comparisons(both, "", "/", ""), [], folds=2, repeats=1).ceiling is None


def test_table_picture_and_json(result):
    evaluation, _ = result
    table = report.to_table(evaluation)
    assert table.row_count == len(evaluation.lines) + 2
    parts = report.to_parts_table(evaluation, ["ROI roi-ray", "psnr"])
    assert parts.row_count == len(evaluation.sizes)
    assert np.std(decode_image(report.draw(evaluation))) > 10
    plain = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert plain["paper"] == {"BASIC": 0.7672, "ROI": 0.784}
    assert plain["lines"][0]["accuracy"]["value"] == evaluation.lines[0].accuracy.value
