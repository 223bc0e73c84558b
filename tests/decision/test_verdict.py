"""Sentences of a verdict."""

import numpy as np
import pytest

from roi_ray.decision.flags import Flag
from roi_ray.decision.resampling import Estimate
from roi_ray.decision.savings import Saving
from roi_ray.decision.verdict import word_verdict
from roi_ray.decision.winners import Winner


def word(mean: float, curve: float) -> str:
    """Word the verdict about one codec with a mean, and a BD-rate of the mean curves."""
    saving = Saving(
        codec="webp",
        metric="psnr",
        per_image=np.full(8, mean),
        flags={},
        mean=Estimate(mean, None, None),
        median=None,
        curve=Estimate(curve, None, None),
        curve_flag=None,
        reason=None,
    )
    ranking = ("webp", "jpeg") if mean < 0 else ("jpeg", "webp")
    winner = Winner("psnr", ranking, {}, None, 8)
    savings = {("webp", "psnr"): saving}
    return " ".join(word_verdict("jpeg", ["psnr"], ["webp"], savings, {"psnr": winner}, {}))


@pytest.mark.parametrize(
    ("mean", "curve", "opposite"),
    [(-3.0, 0.2, True), (3.0, -0.2, True), (-3.0, -0.2, False), (-3.0, 0.01, False)],
)
def test_mean_curves_say_the_opposite_only_by_numbers_that_are_shown(mean, curve, opposite) -> None:
    assert ("The mean curves say the opposite" in word(mean, curve)) is opposite


def test_causes_leave_out_images_that_need_no_bd_rate() -> None:
    flags = {Flag.OUTSIDE_BAND: 9, Flag.LITTLE_OVERLAP: 3}
    saving = Saving("webp", "psnr", np.full(12, np.nan), flags, None, None, None, None, "")
    assert saving.causes == (Flag.LITTLE_OVERLAP,)
    nothing = Saving("webp", "psnr", np.full(9, np.nan), {Flag.OUTSIDE_BAND: 9}, *[None] * 4, "")
    assert nothing.causes == (Flag.OUTSIDE_BAND,)
