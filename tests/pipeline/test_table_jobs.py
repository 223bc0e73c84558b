"""Whole jobs on tables as users' tools write them, on the local engine."""

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import roi_ray
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.retry import write_failed
from roi_ray.pipeline.run import score_manifest
from roi_ray.pipeline.status import read_status
from roi_ray.verification.verify import verify_scores
from tests.conftest import encode, write

LOCAL = Options(device="cpu", engine="local")
CODECS = {"codec=a%2Fb": "a/b", "codec=007": "007"}


def write_views(path, frame: pl.DataFrame) -> str:
    """Write a frame as Parquet whose text pyarrow reads as views."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(frame.to_arrow(compat_level=pl.CompatLevel.newest()), path)
    assert pq.read_schema(path).field("reference").type == pa.string_view()
    return str(path)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, photos):
    """Write a folder partitioned by codec; each has two images, one also under a wrong name."""
    folder = tmp_path_factory.mktemp("sweep")
    photo = photos["chelsea"][:96, :112]
    write(folder / "images/x.png", encode(photo))
    for number, name in enumerate(CODECS):
        images = [f"images/{number}-q{quality}.jpg" for quality in (20, 80)]
        for quality, image in zip((20, 80), images, strict=True):
            write(folder / image, encode(photo, "JPEG", quality=quality))
        frame = {
            "reference": ["images/x.png"] * 3,
            "distorted": [*images, images[0].replace("/", "\\")],
            "tags": [["u", name], None, []],
        }
        write_views(folder / name / "part-0.parquet", pl.DataFrame(frame))
    return folder


@pytest.fixture(scope="module")
def scores(sweep, tmp_path_factory) -> str:
    output = str(tmp_path_factory.mktemp("scored") / "scores")
    settings = roi_ray.Settings(metrics=("ssimulacra2",))
    summary = score_manifest(str(sweep), output, settings, LOCAL)
    assert (summary.rows, summary.failed, summary.scored) == (6, 2, 6)
    return output


def test_partitioned_sweep_with_text_views_is_scored_resumed_retried_and_verified(
    sweep, scores, tmp_path
) -> None:
    settings = roi_ray.Settings(metrics=("ssimulacra2",))
    assert score_manifest(str(sweep), scores, settings, LOCAL).scored == 0
    shards = f"{scores}/*.parquet"
    rows = duckdb.sql(f"SELECT codec, count(psnr) FROM '{shards}' GROUP BY ALL ORDER BY codec")
    assert rows.fetchall() == [("007", 2), ("a/b", 2)]
    errors = pl.read_parquet(shards).drop_nulls("error")
    assert all("exists: write / between folders, not \\" in error for error in errors["error"])
    assert sorted(map(str, pl.read_parquet(shards)["tags"].to_list())) == sorted(
        [str(["u", name]) for name in CODECS] + ["None", "[]"] * 2
    )
    assert "view" not in str(pq.read_schema(f"{scores}/shard-000000.parquet"))

    retry = write_failed(read_status(scores), str(tmp_path / "failed.parquet"))
    assert sorted(pq.read_table(retry.uri)["codec"].to_pylist()) == ["007", "a/b"]
    verified = verify_scores(scores, manifest=str(sweep), device="cpu")
    assert verified.agrees and verified.verified == 4


def test_comparisons_with_text_views_are_joined_with_scores_and_ranked(
    sweep, scores, tmp_path
) -> None:
    """The comparisons are partitioned too, by a method whose name looks like a number."""
    images = [
        str(sweep / f"images/{number}-q{quality}.jpg") for number in (0, 1) for quality in (20, 80)
    ]
    frame = pl.DataFrame(
        {
            "reference": [str(sweep / "images/x.png")] * 3,
            "a": images[:3],
            "b": images[1:],
            "method_b": ["x", "y", "x"],
            "p_a": [0.25, 0.5, 0.75],
            "note": ["n", None, "m"],
        }
    )
    write_views(tmp_path / "choices" / "method_a=007" / "c.parquet", frame)
    choices = str(tmp_path / "choices")
    result = roi_ray.compare(choices, tmp_path / "out", scores=scores)
    assert (result.rows, result.failed) == (3, 0)
    written = duckdb.sql(f"SELECT method_a, note, p_a_preferred FROM '{result.output}'").fetchall()
    assert [row[:2] for row in written] == [("007", "n"), ("007", None), ("007", "m")]
    assert all(0 < row[2] < 1 for row in written)
    names = {rank.name for rank in roi_ray.rank(choices)}
    assert names == {"007", "x", "y"}
    table = frame.with_columns(method_a=pl.lit("007")).to_arrow(
        compat_level=pl.CompatLevel.newest()
    )
    assert {rank.name for rank in roi_ray.rank(table)} == names
