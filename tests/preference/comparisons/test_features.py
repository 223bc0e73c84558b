import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError, OutputError
from roi_ray.preference.comparisons.features import check_scores, join_features
from roi_ray.preference.comparisons.provenance import features_provenance, find_precision
from roi_ray.scoring.version import SCORING_VERSION
from tests.conftest import write

SCORES = {
    "reference": ["/d/x.png", "/d/x.png", "/d/y.png"],
    "distorted": ["/d/1.jpg", "/d/2.jpg", "/d/3.jpg"],
    **{feature: [1.0, 2.0, 3.0] for feature in schema.PAPER_FEATURES},
    "error": pa.array([None, None, "3.jpg: empty"]),
    "error_kind": pa.array([None, None, "ImageReadError"]),
}


def scores(tmp_path, **changes):
    folder = tmp_path / "scores"
    folder.mkdir(exist_ok=True)
    table = pa.table({name: v for name, v in {**SCORES, **changes}.items() if v is not None})
    pq.write_table(table, folder / "shard-000000.parquet")
    return str(folder)


def test_features_join_to_their_side_and_errors_to_their_row(tmp_path, make_comparisons):
    table = join_features(make_comparisons(), scores(tmp_path))
    assert table.column_names[-21:] == [
        *schema.pair_columns(schema.PAPER_FEATURES),
        "roi_fraction_a",
        "roi_fraction_b",
        "scored_with",
        "error_kind",
        "error",
    ]
    assert table["scored_with"].null_count == 3
    for feature in schema.PAPER_FEATURES:
        assert table[f"{feature}_a"].to_pylist()[:2] == [1, 2]
        assert table[f"{feature}_b"].to_pylist() == [2, 1, None]
    assert table["error"].to_pylist() == [None, None, "3.jpg: empty (side a)"]
    assert table["error_kind"].to_pylist() == [None, None, "ImageReadError"]


def test_scores_are_found_by_uris_as_written(tmp_path, make_comparisons):
    spelled = {"reference": ["x.png"] * 2 + ["y.png"], "distorted": ["1.jpg", "2.jpg", "4.jpg"]}
    table = join_features(make_comparisons(), scores(tmp_path, **spelled))
    assert table["psnr_a"].to_pylist() == [1, None, None]
    assert table["error"].to_pylist()[1] == f"/d/2.jpg: not in {tmp_path}/scores (side a)"
    assert table["error_kind"].to_pylist() == [None, "MissingScores", "MissingScores"]


def make_run_record(base):
    """Make the content of a scoring run's `run.json`."""
    return {
        "roi_ray": "0",
        "scoring_version": SCORING_VERSION,
        "columns": {},
        "manifest": {"base": base},
        "config": {
            "roi_weighting": "mean",
            "precision": "fp32",
            "weights": {"lpips": [{"name": "alex.pth", "sha256": "0123456789abcdef"}]},
            "manifest": {"rows": 3},
            "shard_size": 1024,
        },
    }


def test_equal_names_in_two_folders_are_two_images(tmp_path, make_comparisons, caplog):
    spelled = {"reference": ["x.png"] * 3, "distorted": ["1.jpg", "2.jpg", "3.jpg"]}
    uri = scores(tmp_path, **spelled)
    write(tmp_path / "scores" / "_run" / "run.json", json.dumps(make_run_record("/d")).encode())
    # Absolute and relative URIs of the same files, one with a detour.
    rows = {"reference": ["/d/./x.png"] * 2, "a": ["/d/1.jpg", "/e/1.jpg"], "b": ["2.jpg"] * 2}
    table = join_features(make_comparisons(**rows, p_a=[0, 1]), uri)
    assert table["psnr_a"].to_pylist() == [1, None]
    assert table["psnr_b"].to_pylist() == [2, 2]
    assert table["error"].to_pylist()[1] == f"/e/1.jpg: not in {tmp_path}/scores (side a)"
    assert not caplog.records
    # If no URI is the same file, the folder may have moved: compare URIs as written.
    moved = make_comparisons("/moved", reference=["x.png"], a=["1.jpg"], b=["2.jpg"], p_a=[0])
    table = join_features(moved, uri)
    assert (table["psnr_a"].to_pylist(), table["psnr_b"].to_pylist()) == ([1], [2])
    assert "no image of the comparisons (relative to /moved) is in" in caplog.text


def test_scored_with_describes_weights_and_settings(tmp_path, make_comparisons):
    uri = scores(tmp_path)
    run = make_run_record("/d")
    write(tmp_path / "scores" / "_run" / "run.json", json.dumps(run).encode())
    table = join_features(make_comparisons(), uri)
    settings = "roi_weighting=mean precision=fp32 lpips=alex.pth:0123456789ab"
    made_by = f"scoring_version={SCORING_VERSION} {settings}"
    assert table["scored_with"].to_pylist() == [made_by] * 3
    assert features_provenance(table, "here") == made_by
    assert find_precision(made_by) == "fp32"
    assert find_precision("lpips=alex.pth:0123456789ab") is None
    other = table.set_column(
        table.column_names.index("scored_with"), "scored_with", pa.array(["x", "y", None])
    )
    with pytest.raises(
        ManifestError, match="here have features from different weights or settings.*: x; y"
    ):
        features_provenance(other, "here")
    del run["scoring_version"]  # as in the first releases
    write(tmp_path / "scores" / "_run" / "run.json", json.dumps(run).encode())
    old = join_features(make_comparisons(), uri)
    assert old["scored_with"].to_pylist() == [settings] * 3
    with pytest.raises(
        ManifestError,
        match=rf"different scoring versions.*: a scoring version before 3, scoring version "
        rf"{SCORING_VERSION}; score the images of the older ones again",
    ):
        features_provenance(pa.concat_tables([old, table]), "here")
    write(tmp_path / "scores" / "_run" / "run.json", b"{}")
    with pytest.raises(OutputError, match=r"run.json is not a record of `roi-ray score`"):
        join_features(make_comparisons(), uri)


def test_error_given_by_the_user_is_kept(tmp_path, make_comparisons):
    withdrawn = make_comparisons(error=["withdrawn", None, "withdrawn"])
    table = join_features(withdrawn, scores(tmp_path))
    assert table["error"].to_pylist() == ["withdrawn", None, "withdrawn"]
    assert table["error_kind"].to_pylist() == [None] * 3
    assert table["psnr_a"].to_pylist()[:2] == [1, 2]


def test_columns_of_an_earlier_join_are_replaced(tmp_path, make_comparisons):
    errors = ["1.jpg: not in s (side a)", "2.jpg: empty (side b)", None]
    kinds = ["MissingScores", "ImageReadError", None]
    old = make_comparisons(
        psnr_a=[9.0] * 3, error=errors, error_kind=kinds, p_a_preferred=[0.1] * 3
    )
    table = join_features(old, scores(tmp_path))
    assert table["psnr_a"].to_pylist()[:2] == [1, 2]
    assert table["error"].to_pylist()[:2] == table["error_kind"].to_pylist()[:2] == [None, None]
    assert "p_a_preferred" not in table.column_names
    assert len(set(table.column_names)) == len(table.column_names)


def test_scores_of_other_images_or_without_features_are_refused(tmp_path, make_comparisons):
    with pytest.raises(ManifestError, match="has no scores for any of the 3 comparisons"):
        join_features(
            make_comparisons(
                base="/elsewhere",
                **{"a": ["1.jpg"] * 3, "b": ["2.jpg"] * 3, "reference": ["x.png"] * 3},
            ),
            scores(tmp_path),
        )
    nothing = dict.fromkeys(schema.PAPER_FEATURES)
    with pytest.raises(ManifestError, match="column 'psnr' is missing; there are"):
        join_features(make_comparisons(), scores(tmp_path, **nothing))


def test_scores_with_other_quality_columns_are_joined_as_far_as_they_go(tmp_path, make_comparisons):
    uri = scores(tmp_path, lpips=None, mse_cb=[1e-4, 2e-4, 3e-4], ssimulacra2=[70.0, 80.0, 90.0])
    table = join_features(make_comparisons(ssimulacra2_a=[0.0] * 3), uri)
    assert table["ssimulacra2_a"].to_pylist()[:2] == [70, 80]
    assert table["mse_cb_b"].to_pylist() == [2e-4, 1e-4, None]
    assert not {"lpips_a", "mse_cr_a", "roi_ssimulacra2_a"} & set(table.column_names)


def test_scores_without_needed_columns_are_refused(tmp_path):
    uri = scores(tmp_path, ssimulacra2=[70.0, 80.0, 90.0])
    check_scores(uri, ("psnr", "ssimulacra2"), "the model needs")
    with pytest.raises(
        ManifestError,
        match=f"the model needs mse_cb, which the scores {uri} do not have: make them again, with "
        "`roi-ray score` and a new --output$",
    ):
        check_scores(uri, ("psnr", "mse_cb", "ssimulacra2"), "the model needs")
    with pytest.raises(ManifestError, match=r"roi_ssimulacra2, .* `roi-ray score --metrics ssim"):
        check_scores(uri, ("ssimulacra2", "roi_ssimulacra2"), "the model needs")
    manifest = write(tmp_path / "pairs.csv", b"reference,distorted\na.png,b.jpg\n")
    with pytest.raises(ManifestError, match="pairs.csv has no column that measures quality"):
        check_scores(manifest, ("psnr",), "the model needs")


def test_several_rows_for_one_image_are_refused(tmp_path, make_comparisons):
    table = pa.table(SCORES)
    folder = scores(tmp_path)
    pq.write_table(pa.concat_tables([table, table.slice(1, 1)]), f"{folder}/shard-000000.parquet")
    with pytest.raises(ManifestError, match=r"several rows for .*2.jpg with the reference .*x.png"):
        join_features(make_comparisons(), folder)


def test_score_that_is_not_a_number_becomes_an_error(tmp_path, make_comparisons):
    table = join_features(make_comparisons(), scores(tmp_path, roi_lpips=[1.0, float("nan"), None]))
    assert table["error"].to_pylist()[:2] == [
        "the scores have no number for roi_lpips (side b)",
        "the scores have no number for roi_lpips (side a)",
    ]
    assert table["error_kind"].to_pylist()[:2] == ["NonFiniteScore"] * 2


def nulls_under_the_mask(first):
    """Make columns in which the first rows have no number under the mask."""
    rest = [1.0, 2.0, 3.0][first:]
    return {name: pa.array([None] * first + rest, pa.float64()) for name in schema.ROI_FEATURES}


def test_empty_mask_is_no_error_and_its_columns_stay_null(tmp_path, make_comparisons):
    uri = scores(tmp_path, roi_fraction=[0.0, 9e-7, 0.5], **nulls_under_the_mask(2))
    table = join_features(make_comparisons(), uri)
    assert table["error"].to_pylist()[:2] == table["error_kind"].to_pylist()[:2] == [None, None]
    assert table["roi_fraction_a"].to_pylist()[:2] == [0, 9e-7]
    for name in schema.PAPER_FEATURES:
        expected = [None, None] if name in schema.ROI_FEATURES else [1, 2]
        assert table[f"{name}_a"].to_pylist()[:2] == expected


@pytest.mark.parametrize("fraction", [[0.25, 2e-6, 0.5], [None, float("nan"), 0.5], None])
def test_null_under_a_mask_that_is_not_known_to_be_empty_is_an_error(
    tmp_path, make_comparisons, fraction
):
    # Scores of old versions or of other tools may have no `roi_fraction`.
    uri = scores(tmp_path, roi_fraction=fraction, **nulls_under_the_mask(2))
    table = join_features(make_comparisons(), uri)
    assert table["error"].to_pylist()[:2] == [
        "the scores have no number for roi_psnr (side a)",
        "the scores have no number for roi_psnr (side a)",
    ]
    assert table["error_kind"].to_pylist()[:2] == ["NonFiniteScore"] * 2


def test_missing_basic_number_is_an_error_even_under_an_empty_mask(tmp_path, make_comparisons):
    lpips = pa.array([None, float("nan"), 3.0])
    uri = scores(tmp_path, lpips=lpips, roi_fraction=[0.0] * 3, **nulls_under_the_mask(2))
    table = join_features(make_comparisons(), uri)
    assert table["error"].to_pylist()[:2] == ["the scores have no number for lpips (side a)"] * 2
