"""Curves for charts."""

import numpy as np
import pytest

from roi_ray.decision.curves import average_curves
from tests.decision.sweep_tables import make_rows, to_scores


def test_mean_curves_are_over_the_images_that_have_all_points(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0, "webp": 0.8})
    failed = next(r for r in rows if (r["reference"], r["codec"]) == ("2.png", "webp"))
    failed.update(error="broken", psnr=None)
    curves = average_curves(to_scores(rows, tmp_path), "psnr", resamples=200)
    jpeg, webp = curves["jpeg"], curves["webp"]
    assert (jpeg.images, jpeg.left_out, webp.images, webp.left_out) == (8, 0, 7, 1)
    assert webp.names == tuple(f"quality={quality}" for quality in (10, 30, 50, 70, 90))
    kept = [r for r in rows if r["codec"] == "webp" and r["reference"] != "2.png"]
    for k, quality in enumerate((10, 30, 50, 70, 90)):
        same = [r for r in kept if r["quality"] == quality]
        assert webp.rates[k].value == pytest.approx(np.mean([r["bpp"] for r in same]))
        assert webp.quality[k].value == pytest.approx(np.mean([r["psnr"] for r in same]))
        assert webp.quality[k].low < webp.quality[k].value < webp.quality[k].high


def test_lossless_points_are_left_out_of_mean_psnr(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0})
    next(r for r in rows if r["quality"] == 90).update(psnr=100.0)
    curve = average_curves(to_scores(rows, tmp_path), "psnr", resamples=0)["jpeg"]
    assert len(curve.names) == 4 and curve.images == 8
    assert max(point.value for point in curve.quality) < 40 and curve.rates[0].low is None


def test_mean_curves_that_cannot_be_say_why(tmp_path) -> None:
    rows = make_rows({"jpeg": 1.0}, images=2)
    rows[0]["psnr"] = rows[-1]["psnr"] = None
    curve = average_curves(to_scores(rows, tmp_path), "psnr")["jpeg"]
    assert (curve.rates, curve.images, curve.left_out) == ((), 0, 2)
    assert curve.reason == "no image has all points of the codec"
    for row in rows:
        del row["quality"]
    curve = average_curves(to_scores(rows, tmp_path), "psnr")["jpeg"]
    assert "do not say what was asked for" in curve.reason
