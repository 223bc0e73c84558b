import numpy as np
import pyarrow as pa
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference.comparisons.examples import parse_features, to_examples
from roi_ray.preference.model.recipes import RECIPES
from tests.preference.synthetic import comparisons


def changed(table, name, values):
    index = table.column_names.index(name) if name in table.column_names else None
    if index is None:
        return table.append_column(name, values)
    return table.set_column(index, name, values)


def test_examples_have_the_values_of_the_table():
    table = comparisons(references=3, each=4)
    examples = to_examples(table, ("psnr", "roi_lpips"), "here")
    assert examples.a.shape == examples.b.shape == (12, 2)
    assert examples.b[:, 1].tolist() == table["roi_lpips_b"].to_pylist()
    assert examples.group.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert examples.weight.tolist() == [1] * 12
    swapped = examples.swapped()
    assert np.array_equal(swapped.a, examples.b)
    assert np.array_equal(swapped.p_a, 1 - examples.p_a)
    assert np.array_equal(examples.only(["roi_lpips"]).a[:, 0], examples.a[:, 1])
    assert len(examples.take(examples.group == 1)) == 4


def test_gold_failed_and_unlabelled_rows_are_left_out():
    table = comparisons(references=3, each=4)
    table = changed(table, schema.GOLD, pa.array([True, None] + [False] * 10))
    table = changed(table, schema.ERROR, pa.array([None] * 2 + ["bad"] + [None] * 9, pa.string()))
    labels = table[schema.P_A].to_pylist()
    table = changed(table, schema.P_A, pa.array([*labels[:-1], None]))
    table = changed(table, schema.VOTES, pa.array([None, *range(1, 12)], pa.int32()))
    examples = to_examples(table, ("psnr",), "here")
    assert len(examples) == 9
    assert examples.weight.tolist() == [1, 3, 4, 5, 6, 7, 8, 9, 10]
    assert np.array_equal(examples.a[0, 0], table["psnr_a"][1].as_py())


def test_comparisons_that_cannot_be_trained_on_are_refused():
    table = comparisons(references=3, each=4)
    with pytest.raises(
        ManifestError,
        match="this needs the features lpips, which the comparisons here do not have: make them "
        "again, with `roi-ray compare` and a new --output",
    ):
        to_examples(table.drop_columns(["lpips_a"]), ("psnr", "lpips"), "here")
    both = ("lpips", "ssimulacra2", "roi_ssimulacra2")
    few = table.drop_columns(["ssimulacra2_b", "roi_ssimulacra2_a", "roi_ssimulacra2_b"])
    with pytest.raises(
        ManifestError,
        match="needs the features ssimulacra2, roi_ssimulacra2, which .* with `roi-ray compare "
        "--metrics ssimulacra2` and a new --output",
    ):
        to_examples(few, both, "here")
    with pytest.raises(UsageError, match="unknown feature 'ssim'"):
        to_examples(table, ("ssim",), "here")
    with pytest.raises(ManifestError, match="for 1 references; at least 2"):
        to_examples(table.slice(0, 4), ("psnr",), "here")
    with pytest.raises(ManifestError, match="no answer prefers b; both sides"):
        to_examples(changed(table, schema.P_A, pa.array([1.0] * 12)), ("psnr",), "here")


def test_parse_features_takes_sets_and_lists():
    features = RECIPES["roi-ray"].features
    assert parse_features("roi", features) == features
    assert parse_features("basic", schema.PAPER_FEATURES) == schema.BASIC_FEATURES
    assert parse_features("basic", ("mse_cb", "roi_mse_cb", "ssimulacra2")) == (
        "mse_cb",
        "ssimulacra2",
    )
    assert parse_features("psnr, roi_lpips", features) == ("psnr", "roi_lpips")
    with pytest.raises(UsageError, match="unknown feature 'vmaf': choose from mse, psnr"):
        parse_features("psnr,vmaf", features)
    with pytest.raises(UsageError, match="the feature 'psnr' is given twice"):
        parse_features("psnr,lpips,psnr", features)


def test_rows_without_finite_features_are_left_out_even_without_an_error():
    table = comparisons(references=3, each=4)
    psnr = table["psnr_a"].to_pylist()
    without = changed(table, "psnr_a", pa.array([None, np.nan, np.inf, *psnr[3:]], pa.float64()))
    assert len(to_examples(without.drop_columns([schema.ERROR]), ("psnr",), "here")) == 9
    assert len(to_examples(without, ("lpips",), "here")) == 12
    blank = changed(table, schema.ERROR, pa.array(["", "bad", *[None] * 10]))
    assert len(to_examples(blank, ("psnr",), "here")) == 11


def test_features_of_mixed_provenance_or_of_text_are_refused():
    table = comparisons(references=3, each=4)
    two = changed(table, schema.SCORED_WITH, pa.array(["one"] * 6 + ["other"] * 6))
    with pytest.raises(ManifestError, match="features from different weights or settings"):
        to_examples(two, ("psnr",), "here")
    words = changed(table, "psnr_b", pa.array(["high"] * 12))
    with pytest.raises(ManifestError, match="column 'psnr_b' is string, not numbers"):
        to_examples(words, ("psnr",), "here")


def test_row_order_does_not_change_groups():
    table = comparisons()
    order = np.random.default_rng(0).permutation(len(table))
    one, other = (
        to_examples(rows, schema.PAPER_FEATURES, "c") for rows in (table, table.take(order))
    )
    assert one.group[order].tolist() == other.group.tolist()
