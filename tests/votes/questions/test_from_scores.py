import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from roi_ray import schema
from roi_ray.errors import UsageError
from roi_ray.io import storage
from roi_ray.preference.comparisons.features import join_features
from roi_ray.preference.comparisons.table import (
    Comparisons,
    check_comparisons,
    read_comparisons,
    write_comparisons,
)
from roi_ray.scoring.version import SCORING_VERSION
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.from_scores import ONE_FILE, collect_scores
from roi_ray.votes.questions.source import read_questions
from roi_ray.votes.questions.stored import merge_stored
from tests.votes.questions.score_files import (
    QUALITIES,
    collect,
    score_row,
    sweep_rows,
    write_record,
    write_scores,
)


def pair_set(table: pa.Table) -> set[frozenset[str]]:
    return set(map(frozenset, zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)))


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


def test_file_under_two_spellings_is_not_compared_with_itself(tmp_path) -> None:
    rows = [score_row("photo", codec, 50) for codec in "xyz"]
    rows[1]["distorted"] = f"./y/../{rows[0]['distorted']}"
    collected = collect(tmp_path, rows)
    assert len(collected.table) == 1
    assert collected.left_out[ONE_FILE] == 2


def test_missing_bit_rate_is_computed_from_the_size(tmp_path) -> None:
    rows = [score_row("p", c, 50, bytes=1000, width=100, height=80) for c in "xy"]
    table = collect(tmp_path, rows, drop=("bpp",)).table
    assert table["bpp_a"].to_pylist() == [1.0]


def test_empty_mask_leaves_nulls_under_it(tmp_path) -> None:
    rows = [score_row("p", "x", q, roi_fraction=0.0, roi_lpips=None) for q in QUALITIES]
    table = collect(tmp_path, rows).table
    assert table["roi_lpips_a"].null_count == len(table)
    assert pc.any(table["gold"]).as_py()


def test_relative_uris_start_at_the_folder_of_the_manifest(tmp_path) -> None:
    scores = tmp_path / "scores"
    write_scores(scores, sweep_rows(1))
    write_record(scores, "s3://bucket/sweep")
    collected = collect_scores(str(scores), VoteOptions())
    file = collect_scores(str(scores / "scores.parquet"), VoteOptions())
    assert collected.base == file.base == "s3://bucket/sweep"
    assert collected.table["reference"][0].as_py() == "s3://bucket/sweep/originals/photo0.png"
    assert (
        collected.table["scored_with"][0].as_py().startswith(f"scoring_version={SCORING_VERSION} ")
    )


def test_study_on_s3(s3, monkeypatch, tmp_path) -> None:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    local = write_scores(tmp_path, sweep_rows(1))
    folder = "s3://sweeps/questions/scores"
    with open(local, "rb") as file:
        storage.write_bytes(f"{folder}/shard.parquet", file.read())
    write_record(folder, "s3://sweeps/questions")
    remote = read_questions(None, folder, VoteOptions())
    here = collect_scores(local, VoteOptions()).table
    there = [uri.replace(str(tmp_path), "s3://sweeps/questions") for uri in here["a"].to_pylist()]
    assert remote.table["a"].to_pylist() == there
    assert remote.allowlist.allows(there[0])
    merge_stored(remote, "s3://sweeps/questions/study", "id")
    assert merge_stored(remote, "s3://sweeps/questions/study", "id").table.equals(remote.table)


def test_written_questions_can_be_read_as_comparisons(tmp_path) -> None:
    table = collect(tmp_path, sweep_rows()).table
    path = str(tmp_path / "questions.parquet")
    write_comparisons(path, table)
    assert len(read_comparisons(path, labels=False).table) == len(table)
