"""Synthetic comparisons: people prefer the better quality, with some noise."""

import numpy as np
import pyarrow as pa

from roi_ray import schema
from roi_ray.preference.comparisons.table import check_comparisons


def _measure_more(feature, quality, side, seed):
    """Measure any other feature; draws nothing from the generator of the answers."""
    error = 0.1 if feature.startswith("roi_") else 1.0
    random = np.random.default_rng(
        [seed, schema.QUALITY_COLUMNS.index(feature), schema.SIDES.index(side)]
    )
    seen = quality + error * random.normal(size=len(quality))
    better = schema.MEANINGS[feature].better
    return 70 + 10 * seen if better == "higher" else 10 ** (-3.5 - 0.3 * seen)


def comparisons(references=12, each=40, noise=0.3, seed=0):
    """Make comparisons that people answer by quality, which the ROI metrics measure best.

    Quality is standard normal; every feature is monotone in it, in its own unit, with an error of
    0.1 for the ROI metrics and 1 for the others.
    """
    random = np.random.default_rng(seed)
    columns = {}
    rows = references * each
    quality = {side: random.normal(size=rows) for side in schema.SIDES}
    for side, q in quality.items():
        for feature in schema.PAPER_FEATURES:
            error = 0.1 if feature.startswith("roi_") else 1.0
            seen = q + error * random.normal(size=rows)
            columns[f"{feature}_{side}"] = {
                "psnr": 35 + 3 * seen,
                "ms_ssim": 1 / (1 + np.exp(-seen - 3)),
                "lpips": np.exp(-2 - 0.5 * seen),
                "d_loss": np.exp(0.1 - 0.2 * seen),
            }[feature.removeprefix("roi_")]
        for feature in set(schema.QUALITY_COLUMNS).difference(schema.PAPER_FEATURES):
            columns[f"{feature}_{side}"] = _measure_more(feature, q, side, seed)
    advantage = (quality["a"] - quality["b"]) / noise
    answers = (random.random(rows) < 1 / (1 + np.exp(-advantage))).astype(float)
    names = np.repeat([f"image{number}" for number in range(references)], each)
    table = pa.table(
        {
            schema.REFERENCE: names,
            schema.A: [f"{name}/{row}-a.jpg" for row, name in enumerate(names)],
            schema.B: [f"{name}/{row}-b.jpg" for row, name in enumerate(names)],
            schema.P_A: answers,
            schema.BPP_A: random.uniform(0.3, 1.5, rows),
            schema.BPP_B: random.uniform(0.3, 1.5, rows),
            schema.CODEC_A: ["jpeg"] * rows,
            schema.CODEC_B: random.choice(["jpeg", "webp"], rows).tolist(),
            **columns,
            schema.ERROR: pa.nulls(rows, pa.string()),
        }
    )
    return check_comparisons(table, "synthetic")
