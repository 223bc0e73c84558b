import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError, OutputError
from roi_ray.preference.comparisons import read_comparisons
from roi_ray.preference.features import distinct_pairs, join_features, scored_with
from roi_ray.scoring.version import SCORING_VERSION
from tests.conftest import write

SCORES = {
    "reference": ["/d/x.png", "/d/x.png", "/d/y.png"],
    "distorted": ["/d/1.jpg", "/d/2.jpg", "/d/3.jpg"],
    **{feature: [1.0, 2.0, 3.0] for feature in schema.FEATURES},
    "error": pa.array([None, None, "ImageReadError: 3.jpg: empty"]),
}
ROWS = {"reference": ["x.png", "/d/x.png", "y.png"], "a": ["1.jpg", "/d/2.jpg", "3.jpg"]}


@pytest.fixture
def given(tmp_path):
    def make(base="/d", **changes):
        rows = {**ROWS, "b": ["2.jpg", "/d/1.jpg", "4.jpg"], "p_a": [1, 0, 0.5], **changes}
        pq.write_table(pa.table(rows), tmp_path / "c.parquet")
        found = read_comparisons(str(tmp_path / "c.parquet"))
        return type(found)(found.table, found.name, base, found.sha256)

    return make


def scores(tmp_path, **changes):
    folder = tmp_path / "scores"
    folder.mkdir(exist_ok=True)
    table = pa.table({name: v for name, v in {**SCORES, **changes}.items() if v is not None})
    pq.write_table(table, folder / "shard-000000.parquet")
    return str(folder)


def test_every_image_is_there_once(given):
    pairs = distinct_pairs(given())
    assert pairs.to_pylist() == [
        {"reference": "/d/x.png", "distorted": "/d/1.jpg"},
        {"reference": "/d/x.png", "distorted": "/d/2.jpg"},
        {"reference": "/d/y.png", "distorted": "/d/3.jpg"},
        {"reference": "/d/y.png", "distorted": "/d/4.jpg"},
    ]


def test_features_go_to_their_side_and_errors_to_their_row(tmp_path, given):
    table = join_features(given(), scores(tmp_path))
    assert table.column_names[-18:] == [*schema.PAIR_FEATURES, "scored_with", "error"]
    assert table["scored_with"].null_count == 3
    for feature in schema.FEATURES:
        assert table[f"{feature}_a"].to_pylist()[:2] == [1, 2]
        assert table[f"{feature}_b"].to_pylist() == [2, 1, None]
    errors = table["error"].to_pylist()
    assert errors[:2] == [None, None]
    assert errors[2] == "ImageReadError: 3.jpg: empty (side a)"


def test_scores_are_found_as_the_comparison_spells_them_too(tmp_path, given):
    spelled = {"reference": ["x.png"] * 2 + ["y.png"], "distorted": ["1.jpg", "2.jpg", "4.jpg"]}
    table = join_features(given(), scores(tmp_path, **spelled))
    assert table["psnr_a"].to_pylist() == [1, None, None]
    assert table["error"].to_pylist()[1].startswith("MissingScores: a: /d/2.jpg in ")


def run_of(base):
    """What a job's `run.json` has to say."""
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


def test_images_of_one_name_in_two_folders_are_two(tmp_path, given, caplog):
    spelled = {"reference": ["x.png"] * 3, "distorted": ["1.jpg", "2.jpg", "3.jpg"]}
    uri = scores(tmp_path, **spelled)
    write(tmp_path / "scores" / "_run" / "run.json", json.dumps(run_of("/d")).encode())
    # Absolute there, relative here, and with a detour.
    rows = {"reference": ["/d/./x.png"] * 2, "a": ["/d/1.jpg", "/e/1.jpg"], "b": ["2.jpg"] * 2}
    table = join_features(given(**rows, p_a=[0, 1]), uri)
    assert table["psnr_a"].to_pylist() == [1, None]
    assert table["psnr_b"].to_pylist() == [2, 2]
    assert table["error"].to_pylist()[1].startswith("MissingScores: a: /e/1.jpg in ")
    assert not caplog.records
    # Where nothing is the same, the tree may have been moved; that is said.
    moved = given("/moved", reference=["x.png"], a=["1.jpg"], b=["2.jpg"], p_a=[0])
    table = join_features(moved, uri)
    assert (table["psnr_a"].to_pylist(), table["psnr_b"].to_pylist()) == ([1], [2])
    assert "were below /d, and those of the comparisons are below /moved" in caplog.text


def test_what_made_the_scores_is_told(tmp_path, given):
    uri = scores(tmp_path)
    run = run_of("/d")
    write(tmp_path / "scores" / "_run" / "run.json", json.dumps(run).encode())
    table = join_features(given(), uri)
    made_by = "roi_weighting=mean precision=fp32 lpips=alex.pth:0123456789ab"
    assert table["scored_with"].to_pylist() == [made_by] * 3
    assert scored_with(table, "here") == made_by
    other = table.set_column(
        table.column_names.index("scored_with"), "scored_with", pa.array(["x", "y", None])
    )
    with pytest.raises(ManifestError, match="here have features of different makes.*: x; y"):
        scored_with(other, "here")
    write(tmp_path / "scores" / "_run" / "run.json", b"{}")
    with pytest.raises(OutputError, match=r"run.json is not a record of `roi-ray score`"):
        join_features(given(), uri)


def test_an_error_of_the_comparisons_own_stays(tmp_path, given):
    withdrawn = given(error=["withdrawn", None, "withdrawn"])
    table = join_features(withdrawn, scores(tmp_path))
    assert table["error"].to_pylist() == ["withdrawn", None, "withdrawn"]
    assert table["psnr_a"].to_pylist()[:2] == [1, 2]


def test_one_image_is_there_once_however_it_is_spelled(given):
    rows = {"reference": ["x.png", "./x.png"], "a": ["1.jpg", "y/../1.jpg"], "b": ["2.jpg"] * 2}
    pairs = distinct_pairs(given(**rows, p_a=[0, 1]))
    assert len(pairs) == 2


def test_features_from_an_earlier_time_are_replaced(tmp_path, given):
    errors = ["MissingScores: a: 1.jpg in s", "ImageReadError: 2.jpg: empty (side b)", None]
    old = given(psnr_a=[9.0] * 3, error=errors, p_a_preferred=[0.1] * 3)
    table = join_features(old, scores(tmp_path))
    assert table["psnr_a"].to_pylist()[:2] == [1, 2]
    assert table["error"].to_pylist()[:2] == [None, None]
    assert "p_a_preferred" not in table.column_names
    assert len(set(table.column_names)) == len(table.column_names)


def test_scores_that_do_not_fit(tmp_path, given):
    with pytest.raises(ManifestError, match="has scores of none of the 3 comparisons' images"):
        join_features(
            given(
                base="/elsewhere",
                **{**ROWS, "a": ["1.jpg"] * 3, "b": ["2.jpg"] * 3, "reference": ["x.png"] * 3},
            ),
            scores(tmp_path),
        )
    with pytest.raises(ManifestError, match="column 'lpips' is missing; there are"):
        join_features(given(), scores(tmp_path, lpips=None))


def test_several_scores_of_one_image_are_refused(tmp_path, given):
    table = pa.table(SCORES)
    folder = scores(tmp_path)
    pq.write_table(pa.concat_tables([table, table.slice(1, 1)]), f"{folder}/shard-000000.parquet")
    with pytest.raises(ManifestError, match=r"several rows for .*2.jpg with the reference .*x.png"):
        join_features(given(), folder)


def test_a_score_that_is_no_number_is_an_error(tmp_path, given):
    table = join_features(given(), scores(tmp_path, roi_lpips=[1.0, float("nan"), None]))
    assert table["error"].to_pylist()[:2] == [
        "the scores have no number for roi_lpips (side b)",
        "the scores have no number for roi_lpips (side a)",
    ]
