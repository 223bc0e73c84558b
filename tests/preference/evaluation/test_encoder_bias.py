import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy import stats

from roi_ray.preference.evaluation.encoder_bias import find_families, measure_bias
from roi_ray.preference.ranking.bradley_terry import fit_scores, to_answers
from tests.preference.judged import FAMILIES, SHIFT, make_answers


def test_family_that_is_predicted_too_good_shows_its_shift() -> None:
    table, _, true, shifted = make_answers(references=30)
    families = find_families(table)
    bias = measure_bias(families, shifted).families
    # The mean over all nine methods is 0: three of them are shifted.
    expected = {"avif": 2 / 3 * SHIFT, "jpeg": -SHIFT / 3, "webp": -SHIFT / 3}
    for name, value in expected.items():
        assert bias[name].value == pytest.approx(value, abs=0.06)
        assert bias[name].low <= value <= bias[name].high
        assert bias[name].significant and bias[name].methods == 3
    fair = measure_bias(families, true).families
    assert all(each.low < 0 < each.high and each.significant is False for each in fair.values())


def test_people_themselves_have_no_bias() -> None:
    table, examples, _, _ = make_answers(references=8)
    bias = measure_bias(find_families(table), examples.p_a).families
    assert [each.value for each in bias.values()] == pytest.approx([0, 0, 0], abs=1e-9)


def test_bias_and_interval_are_those_of_a_jackknife_by_hand() -> None:
    table, _, _, shifted = make_answers(references=7, each=60, scatter=0.4)
    families = find_families(table)
    bias = measure_bias(families, shifted).families["avif"]

    def compute(rows):
        part = table.filter(pa.array(rows))
        columns = ("method_a", "method_b")
        model = part.append_column("model", pa.array(shifted[rows]))
        people, predicted = (
            fit_scores(to_answers(model, columns, label).count_wins()) for label in ("p_a", "model")
        )
        return (predicted - people)[:3].mean()  # avif's methods come first

    group = table["group"].to_numpy().astype(int)
    whole = compute(group >= 0)
    left = np.array([compute(group != reference) for reference in range(7)])
    # One less than the references, about each of which avif has nearly as many answers.
    assert 5.8 < families.freedom[0] < 6
    reach = stats.t.ppf(0.975, families.freedom[0]) * np.sqrt(6 / 7 * np.square(left - whole).sum())
    assert bias.value == pytest.approx(whole, abs=1e-5)
    assert (bias.low, bias.high) == pytest.approx((whole - reach, whole + reach), abs=1e-4)


@pytest.mark.parametrize("references", [6, 16])
def test_intervals_cover_the_truth(references) -> None:
    covering = [0, 0, 0]
    for seed in range(120):
        table, _, true, _ = make_answers(references, each=40, scatter=0.5, seed=seed)
        # These predictions know each reference's utilities, so that their bias is 0.
        bias = measure_bias(find_families(table), true).families
        for number, name in enumerate(FAMILIES):
            covering[number] += bias[name].low <= 0 <= bias[name].high
    assert min(covering) / 120 > 0.87


def test_encoders_are_compared_where_methods_have_no_names() -> None:
    table, _, _, shifted = make_answers()
    bias = measure_bias(find_families(table.drop_columns(["method_a", "method_b"])), shifted)
    assert bias.families["avif"].value == pytest.approx(2 / 3 * SHIFT, abs=0.1)
    assert [each.methods for each in bias.families.values()] == [1, 1, 1]


def test_few_references_have_a_bias_and_no_interval() -> None:
    table, _, _, shifted = make_answers(references=5)
    for each in measure_bias(find_families(table), shifted).families.values():
        assert np.isnan([each.low, each.high]).all() and each.significant is None
        assert abs(each.value) > 0.05


def test_what_cannot_be_measured_says_why() -> None:
    table, _, _, shifted = make_answers(references=6, each=30)

    def reason(part):
        bias = measure_bias(find_families(part), shifted[: len(part)])
        assert bias.families == {}
        return bias.reason

    assert reason(table.drop_columns(["codec_a"])) == "no columns codec_a and codec_b"
    one = table.set_column(
        table.column_names.index("codec_a"), "codec_a", pa.array(["avif"] * len(table))
    )
    assert reason(one).endswith("has more than one encoder")
    both = one.set_column(one.column_names.index("codec_b"), "codec_b", one["codec_a"])
    assert reason(both) == "all methods are of one encoder family, avif"
    same = table.filter(pc.equal(table["codec_a"], table["codec_b"]))
    assert reason(same) == "no chain of comparisons links all methods"
    single = table.drop_columns(["method_a", "method_b", "codec_b"]).append_column(
        "codec_b", table["codec_a"]
    )
    assert reason(single) == "no comparison names two different methods or encoders"


def test_interval_of_a_family_in_few_references_has_the_freedom_of_these() -> None:
    table, _, _, shifted = make_answers(references=20, each=60, scatter=0.4)
    avif = pc.or_(pc.equal(table["codec_a"], "avif"), pc.equal(table["codec_b"], "avif"))
    rare = pc.less(pc.cast(table["group"], pa.int64()), 6)
    kept = pc.or_(rare, pc.invert(avif)).to_numpy()
    families = find_families(table.filter(pa.array(kept)))
    assert families.references.tolist() == [6, 20, 20]
    assert families.freedom[0] <= 5 and families.freedom[1:].min() > 10
    bias = measure_bias(families, shifted[kept]).families
    assert bias["avif"].high - bias["avif"].low > bias["webp"].high - bias["webp"].low
