"""The scores of a sweep as curves."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.decision.sweep_scores import MISSING, read_sweep_scores
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
