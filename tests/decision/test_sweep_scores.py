"""The scores of a sweep as curves."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.decision import score_table
from roi_ray.decision.score_table import MISSING
from roi_ray.decision.sweep_scores import read_sweep_scores
from roi_ray.errors import ManifestError


def write_rows(tmp_path, rows) -> str:
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def row(image, codec, quality, bpp, psnr, error=None):
    return {
        "reference": image,
        "distorted": f"{image}.{codec}{quality}",
        "codec": codec,
        "quality": quality,
        "bpp": bpp,
        "psnr": psnr,
        "error": error,
    }


def test_values_are_by_image_and_point(tmp_path) -> None:
    rows = [
        row("a.png", "jpeg", 50, 1.0, 35.0),
        row("a.png", "jpeg", 10, 0.25, 30.0),
        row("b.png", "jpeg", 50, 1.5, 36.0),
        row("b.png", "jpeg", 10, None, None, error="broken"),
        row("b.png", "avif", 40, 0.5, 33.0),
    ]
    scores = read_sweep_scores(write_rows(tmp_path, rows))
    assert scores.images == ("a.png", "b.png")
    assert list(scores.codecs) == ["avif", "jpeg"]
    assert scores.codecs["jpeg"].names == ("quality=10", "quality=50")
    assert scores.codecs["jpeg"].rows.tolist() == [[1, 0], [MISSING, 2]]
    np.testing.assert_array_equal(scores.values("jpeg", "psnr"), [[30, 35], [np.nan, 36]])
    np.testing.assert_array_equal(scores.bit_rates("avif"), [[np.nan], [0.5]])
    assert scores.metrics == ("psnr",)


def test_two_rows_for_one_point_are_refused(tmp_path) -> None:
    rows = [row("a.png", "jpeg", 50, bpp, 35.0) for bpp in (1.0, 1.1)]
    with pytest.raises(ManifestError, match="codec 'jpeg' has two rows"):
        read_sweep_scores(write_rows(tmp_path, rows))


def test_rows_without_quality_are_points_by_bit_rate(tmp_path) -> None:
    rows = [row("a.png", "jpeg", 0, bpp, 35.0) for bpp in (1.0, 0.5, 0.7)]
    for each in rows:
        del each["quality"]
    points = read_sweep_scores(write_rows(tmp_path, rows)).codecs["jpeg"]
    assert points.names is None and points.rows.tolist() == [[1, 2, 0]]


def test_points_are_named_by_their_targets(tmp_path) -> None:
    rows = [
        {**row("a.png", "jpeg", 50 + k, bpp, 35.0), "target_metric": metric, "target": target}
        for k, (metric, target, bpp) in enumerate(
            [("bpp", 0.5, 0.51), ("quality", 90.0, 2.0), ("bpp", 0.25, 0.26)]
        )
    ]
    points = read_sweep_scores(write_rows(tmp_path, rows)).codecs["jpeg"]
    assert points.names == ("bpp=0.25", "bpp=0.5", "quality=90")
    assert points.rows.tolist() == [[2, 0, 1]]


def test_columns_are_read_from_several_files(tmp_path) -> None:
    """Files with several groups of rows, of which one lacks a column."""
    rows = [row(f"{i}.png", "jpeg", q, 0.1 * q, 30.0 + q + i) for i in range(5) for q in (1, 2, 3)]
    for number, part in enumerate((rows[:4], rows[4:11], rows[11:])):
        table = pa.Table.from_pylist(part)
        if number != 1:
            table = table.append_column("note", pa.array([f"n{i}" for i in range(len(part))]))
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=3)
    scores = read_sweep_scores(str(tmp_path))
    assert scores.row_count == 15 and scores.images == tuple(f"{i}.png" for i in range(5))
    expected = [[30.0 + q + i for q in (1, 2, 3)] for i in range(5)]
    np.testing.assert_array_equal(scores.values("jpeg", "psnr"), expected)
    assert scores.column("note").to_list()[3:5] == ["n3", None]
    found = scores.read_rows([14, 0, 7, 14])
    assert [each["distorted"] for each in found] == [rows[i]["distorted"] for i in (14, 0, 7, 14)]
    assert [each["note"] for each in found] == ["n3", "n0", None, "n3"]
    codes, texts = scores.categories("reference")
    assert [texts[code] for code in codes] == [each["reference"] for each in rows]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_other_tables_of_scores(tmp_path, suffix) -> None:
    rows = [row("a.png", "jpeg", q, 0.1 * q, 30.0 + q) for q in (1, 2, 3)]
    frame = pl.DataFrame(rows)
    path = tmp_path / f"scores.{suffix}"
    frame.write_csv(path) if suffix == "csv" else frame.write_ndjson(path)
    scores = read_sweep_scores(str(path))
    np.testing.assert_array_equal(scores.values("jpeg", "psnr"), [[31, 32, 33]])
    assert scores.metrics == ("psnr",) and scores.run is None
    assert scores.read_rows([2])[0]["distorted"] == "a.png.jpeg3"


def test_texts_with_numbers_are_numbers(tmp_path) -> None:
    rows = [{**row("a.png", "jpeg", q, 0.1 * q, None), "psnr": f" {30 + q}.5"} for q in (1, 2)]
    scores = read_sweep_scores(write_rows(tmp_path, rows))
    np.testing.assert_array_equal(scores.values("jpeg", "psnr"), [[31.5, 32.5]])
    rows[1]["psnr"] = "good"
    scores = read_sweep_scores(write_rows(tmp_path, rows))
    with pytest.raises(ManifestError, match="'psnr' does not have numbers: .*good"):
        scores.values("jpeg", "psnr")


def test_bit_rates_are_computed_from_the_size_of_files(tmp_path) -> None:
    rows = [row("a.png", "jpeg", q, None, 30.0) for q in (1, 2)]
    for number, each in enumerate(rows, 1):
        del each["bpp"]
        each.update(bytes=384 * number, width=64, height=48)
    scores = read_sweep_scores(write_rows(tmp_path, rows))
    np.testing.assert_array_equal(scores.bit_rates("jpeg"), [[1, 2]])
    assert "bpp" in scores.column_names and scores.column("bpp").to_list() == [1, 2]
    assert scores.read_rows([1])[0]["bpp"] == 2


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("codec", "has no column 'codec', which comparing codecs needs; it has 'reference'"),
        ("reference", "has no column 'reference'"),
        ("bpp", r"no column 'bpp' \(bits per pixel\), nor bytes, width, height to compute"),
    ],
)
def test_missing_columns_are_named(tmp_path, column, message) -> None:
    rows = [row("a.png", "jpeg", 1, 1.0, 30.0)]
    del rows[0][column]
    with pytest.raises(ManifestError, match=message):
        read_sweep_scores(write_rows(tmp_path, rows))


def test_tables_that_cannot_be_read_are_refused(tmp_path) -> None:
    (tmp_path / "scores.parquet").write_bytes(b"no table")
    with pytest.raises(ManifestError, match="cannot be read as .parquet"):
        read_sweep_scores(str(tmp_path / "scores.parquet"))
    with pytest.raises(ManifestError, match="no such file or folder"):
        read_sweep_scores(str(tmp_path / "nothing"))
    empty = pa.Table.from_pylist([row("a.png", "jpeg", 1, 1.0, 30.0)])[:0]
    pq.write_table(empty, tmp_path / "empty.parquet")
    with pytest.raises(ManifestError, match="has no rows"):
        read_sweep_scores(str(tmp_path / "empty.parquet"))


def test_failed_rows_are_counted_and_hold_no_cell(tmp_path) -> None:
    rows = [row("a.png", "jpeg", 1, 1.0, 30.0), row("a.png", "jpeg", 1, 1.0, None, "broken")]
    scores = read_sweep_scores(write_rows(tmp_path, rows))
    assert scores.failed_count == 1 and scores.codecs["jpeg"].rows.tolist() == [[0]]


def test_few_columns_stay_in_memory(tmp_path, monkeypatch) -> None:
    rows = [
        {**row("a.png", "jpeg", q, 0.1 * q, 30.0 + q), "mse": 1.0 / q, "lpips": 2.0 / q}
        for q in (1, 2, 3)
    ]
    monkeypatch.setattr(score_table, "_CACHED_BYTES", 2 * 3 * 8)
    scores = read_sweep_scores(write_rows(tmp_path, rows))
    scores.load(["bpp", "psnr", "mse", "lpips"])
    assert list(scores._numbers) == ["bpp", "psnr"]
    np.testing.assert_allclose(scores.values("jpeg", "lpips"), [[2, 1, 2 / 3]])
    assert list(scores._numbers) == ["bpp", "lpips"]
