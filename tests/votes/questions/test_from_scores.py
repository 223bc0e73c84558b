import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError, UsageError
from roi_ray.io import storage
from roi_ray.preference.comparisons.features import join_features
from roi_ray.preference.comparisons.table import (
    Comparisons,
    check_comparisons,
    read_comparisons,
    write_comparisons,
)
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.from_scores import CERTAIN, ONE_FILE, collect_scores
from roi_ray.votes.questions.score_images import AGAIN, FAILED
from tests.votes.questions.score_files import (
    QUALITIES,
    score_row,
    sweep_rows,
    write_record,
    write_scores,
)


def pair_set(table: pa.Table) -> set[frozenset[str]]:
    return set(map(frozenset, zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)))


def collect(folder, rows, drop=(), **options):
    return collect_scores(write_scores(folder, rows, drop), VoteOptions(**options))


def test_all_pairs_of_an_original_are_questions_once(tmp_path) -> None:
    table = collect(tmp_path, sweep_rows(), max_questions=5000).table
    possible = 4 * (15 * 14 // 2)
    gold = pc.sum(table["gold"]).as_py()
    assert gold == 100
    assert len(pair_set(table)) == len(table) > possible / 2
    assert all(
        "/".join(a.split("/")[-1:])[:6] == "/".join(b.split("/")[-1:])[:6] == r.split("/")[-1][:6]
        for r, a, b in zip(*(table[n].to_pylist() for n in ("reference", "a", "b")), strict=True)
    )


def test_questions_are_comparisons_with_methods_codecs_and_rates(tmp_path) -> None:
    collected = collect(tmp_path, sweep_rows())
    table = check_comparisons(collected.table, "questions", labels=False)
    assert table["reference"][0].as_py().startswith(f"{tmp_path}/originals/photo")
    for row in table.to_pylist():
        for side in schema.SIDES:
            codec, name = row[side].removeprefix(f"{tmp_path}/").split("/")
            quality = int(name.split("-")[1].removesuffix(".jpg"))
            assert row[f"codec_{side}"] == codec
            assert row[f"method_{side}"] == f"{codec} q{quality}"
            assert row[f"bpp_{side}"] == pytest.approx(0.02 * quality)
        assert row["group"] == row["reference"]
        assert row["gold"] == (row["expected_p_a"] is not None)


def test_features_are_those_that_compare_joins(tmp_path) -> None:
    scores = write_scores(tmp_path, sweep_rows())
    table = collect_scores(scores, VoteOptions()).table
    plain = table.select(["reference", "a", "b", "group"])
    write_record(tmp_path, str(tmp_path))
    joined = join_features(Comparisons(plain, "questions", "/elsewhere", ""), str(tmp_path))
    for name in (*schema.pair_columns(schema.QUALITY_COLUMNS), *schema.PAIR_FRACTIONS):
        assert table[name].to_pylist() == joined[name].to_pylist(), name
    assert joined["error"].null_count == len(joined)


def test_gold_questions_have_a_clearly_better_image_and_are_not_asked_otherwise(tmp_path) -> None:
    collected = collect(tmp_path, sweep_rows())
    rows = collected.table.to_pylist()
    certain = 0
    for row in rows:
        a, b = (-10 * np.log10(1 - row[f"ms_ssim_{side}"]) for side in schema.SIDES)
        is_certain = abs(a - b) >= 6 and min(a, b) <= 17
        certain += is_certain
        assert row["gold"] == is_certain
        if is_certain:
            assert row["expected_p_a"] == float(a > b)
    assert {row["expected_p_a"] for row in rows if row["gold"]} == {0.0, 1.0}
    assert len({row["reference"] for row in rows if row["gold"]}) == 4
    assert collected.left_out[CERTAIN] == 4 * 105 - len(rows) > 0


def test_image_that_is_worse_in_one_column_is_no_gold_question(tmp_path) -> None:
    rows = [score_row("photo", "x", 10), score_row("photo", "x", 90), score_row("photo", "x", 95)]
    rows[1]["d_loss"] = rows[2]["d_loss"] = rows[0]["d_loss"] + 1
    assert not pc.any(collect(tmp_path, rows).table["gold"]).as_py()


def test_difference_that_people_may_not_see_is_no_gold_question(tmp_path) -> None:
    rows = [score_row("photo", "x", 80), score_row("photo", "x", 120)]
    assert collect(tmp_path, rows).table["gold"].to_pylist() == [False]


@pytest.mark.parametrize("number", [14, 40, 150])
def test_part_of_the_pairs_links_all_methods_evenly(tmp_path, number) -> None:
    rows = sweep_rows(originals=20)
    table = collect(tmp_path, rows, max_questions=number).table
    table = table.filter(pc.invert(table["gold"]))
    assert len(table) == number
    pairs = list(zip(table["method_a"].to_pylist(), table["method_b"].to_pylist(), strict=True))
    linked = {pairs[0][0]}
    for _ in pairs:
        linked |= {name for pair in pairs if linked & set(pair) for name in pair}
    assert len(linked) == 15
    if number == 150:
        names, times = np.unique([name for pair in pairs for name in pair], return_counts=True)
        assert len(names) == 15
        assert times.min() >= 17
        assert len(set(table["reference"].to_pylist())) == 20


def test_seed_chooses_the_part(tmp_path) -> None:
    parts = [
        pair_set(collect(tmp_path, sweep_rows(), max_questions=50, seed=seed).table)
        for seed in (0, 0, 1)
    ]
    assert parts[0] == parts[1] != parts[2]


def test_too_few_questions_to_link_the_methods_are_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="max_questions is 13: linking the 15 methods needs 14"):
        collect(tmp_path, sweep_rows(), max_questions=13)


def test_images_with_the_same_pixels_are_not_compared(tmp_path) -> None:
    rows = [score_row("photo", codec, 50) for codec in "xyz"]
    for name in ("mse", "mse_y", "mse_cb", "mse_cr"):
        rows[1][name] = rows[0][name]
    table = collect(tmp_path, rows).table
    assert len(table) == 2
    assert all("/z/" in row["a"] + row["b"] for row in table.to_pylist())


def test_scores_of_one_metric_tell_no_images_apart_and_no_gold(tmp_path) -> None:
    rows = [score_row("photo", codec, 50) for codec in "xy"]
    drop = tuple(name for name in schema.QUALITY_COLUMNS if name != "psnr")
    table = collect(tmp_path, rows, drop).table
    assert table["gold"].to_pylist() == [False]


def test_rows_with_an_error_are_left_out(tmp_path) -> None:
    rows = [score_row("photo", "x", quality) for quality in (50, 60, 70)]
    failed = score_row("photo", "x", 80, error="truncated", error_kind="ImageReadError")
    collected = collect(tmp_path, [*rows, failed])
    assert len(collected.table) == 3
    assert collected.left_out[FAILED] == 1


def test_image_of_several_methods_counts_for_the_first(tmp_path) -> None:
    rows = [score_row("photo", codec, 50) for codec in "xyz"]
    rows[1]["distorted"] = rows[0]["distorted"]
    collected = collect(tmp_path, rows)
    assert collected.table["codec_a"].to_pylist() + collected.table["codec_b"].to_pylist() in (
        ["x", "z"],
        ["z", "x"],
    )
    assert collected.left_out[AGAIN] == 1


def test_file_under_two_spellings_is_not_compared_with_itself(tmp_path) -> None:
    rows = [score_row("photo", codec, 50) for codec in "xyz"]
    rows[1]["distorted"] = f"./y/../{rows[0]['distorted']}"
    collected = collect(tmp_path, rows)
    assert len(collected.table) == 1
    assert collected.left_out[ONE_FILE] == 2


def test_original_under_two_spellings_is_one_original(tmp_path) -> None:
    rows = [score_row("photo", codec, 50) for codec in "xy"]
    rows[1]["reference"] = f"./{rows[0]['reference']}"
    assert len(collect(tmp_path, rows).table) == 1


@pytest.mark.parametrize(
    ("values", "methods"),
    [
        ({"target_metric": "quality", "target": 80.0}, {"x q80", "y q80"}),
        ({"target_metric": "bpp", "target": 0.5}, {"x bpp=0.5", "y bpp=0.5"}),
        ({"target_metric": None, "target": None, "quality": 41.5}, {"x q41.5", "y q41.5"}),
        ({"target_metric": None, "target": None}, {"x", "y"}),
    ],
)
def test_methods_are_named_by_what_was_asked_for(tmp_path, values, methods) -> None:
    table = collect(tmp_path, [{**score_row("photo", c, 50), **values} for c in "xy"]).table
    assert {table["method_a"][0].as_py(), table["method_b"][0].as_py()} == methods


def test_column_method_names_methods_without_a_codec(tmp_path) -> None:
    rows = [{**score_row("photo", c, 50), "method": f"{c} fast"} for c in "xy"]
    table = collect(tmp_path, rows, drop=("codec",)).table
    assert {table["method_a"][0].as_py(), table["method_b"][0].as_py()} == {"x fast", "y fast"}
    assert "codec_a" not in table.column_names


def test_quality_column_and_target_give_one_method(tmp_path) -> None:
    rows = [
        {**score_row(name, codec, 50), "quality": 50.0} for name in ("p", "q") for codec in "xy"
    ]
    rows[0]["target"] = rows[0]["target_metric"] = None
    table = collect(tmp_path, rows).table
    assert set(table["method_a"].to_pylist() + table["method_b"].to_pylist()) == {"x q50", "y q50"}


def test_missing_bit_rate_is_computed_from_the_size(tmp_path) -> None:
    rows = [score_row("p", c, 50, bytes=1000, width=100, height=80) for c in "xy"]
    table = collect(tmp_path, rows, drop=("bpp",)).table
    assert table["bpp_a"].to_pylist() == [1.0]


def test_empty_mask_leaves_nulls_under_it(tmp_path) -> None:
    rows = [score_row("p", "x", q, roi_fraction=0.0, roi_lpips=None) for q in QUALITIES]
    table = collect(tmp_path, rows).table
    assert table["roi_lpips_a"].null_count == len(table)
    assert pc.any(table["gold"]).as_py()


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        (("codec",), "column 'codec' is missing, which says what made each image"),
        (("distorted",), "column 'distorted' is missing"),
        (schema.QUALITY_COLUMNS, "no column measures quality; give an output of `roi-ray score`"),
        (("target_metric", "target"), "rows are the image of .*photo0.png by 'x': say at which"),
    ],
)
def test_scores_without_a_needed_column_are_refused(tmp_path, drop, message) -> None:
    with pytest.raises(ManifestError, match=message):
        collect(tmp_path, sweep_rows(), drop)


def test_scores_with_two_rows_for_an_image_are_refused(tmp_path) -> None:
    rows = [score_row("p", "x", 50), score_row("p", "y", 50), score_row("p", "x", 50, mask="m.png")]
    with pytest.raises(ManifestError, match="2 rows are the image of .*p.png by 'x q50'"):
        collect(tmp_path, rows)


def test_text_where_numbers_are_needed_is_refused(tmp_path) -> None:
    rows = [score_row("p", "x", q, lpips="good") for q in QUALITIES]
    with pytest.raises(ManifestError, match="column 'lpips' is of type string, not double"):
        collect(tmp_path, rows)


def test_relative_uris_start_at_the_folder_of_the_manifest(tmp_path) -> None:
    scores = tmp_path / "scores"
    write_scores(scores, sweep_rows(1))
    write_record(scores, "s3://bucket/sweep")
    collected = collect_scores(str(scores), VoteOptions())
    file = collect_scores(str(scores / "scores.parquet"), VoteOptions())
    assert collected.base == file.base == "s3://bucket/sweep"
    assert collected.table["reference"][0].as_py() == "s3://bucket/sweep/originals/photo0.png"
    assert collected.table["scored_with"][0].as_py().startswith("scoring_version=4 ")


def test_scores_on_s3(s3, monkeypatch, tmp_path) -> None:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    local = write_scores(tmp_path, sweep_rows(1))
    uri = "s3://sweeps/questions/scores.parquet"
    with open(local, "rb") as file:
        storage.write_bytes(uri, file.read())
    remote = collect_scores(uri, VoteOptions()).table
    here = collect_scores(local, VoteOptions()).table
    assert remote["a"][0].as_py() == here["a"][0].as_py().replace(
        str(tmp_path), "s3://sweeps/questions"
    )


def test_written_questions_can_be_read_as_comparisons(tmp_path) -> None:
    table = collect(tmp_path, sweep_rows()).table
    path = str(tmp_path / "questions.parquet")
    write_comparisons(path, table)
    assert len(read_comparisons(path, labels=False).table) == len(table)
