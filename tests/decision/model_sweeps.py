"""Scores with the features of a preference model, written as tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.decision.score_table import SweepScores
from roi_ray.decision.sweep_scores import read_sweep_scores

BPP = (0.25, 0.5, 1.0, 2.0)

_PLANES = {"": 1.0, "_y": 0.9, "_cb": 0.14, "_cr": 0.12}
"""Squared error of each plane, as a share of that of sRGB."""


def feature_row(image: str, codec: str, bpp: float, efficiency: float = 1.0, **more) -> dict:
    """Make a row whose features are those of `efficiency` times as many bits.

    The numbers follow laws that those of photographs follow roughly; `hard` in the name of the
    image makes it one of which all codecs make worse files.
    """
    bits = bpp * efficiency * (0.5 if "hard" in image else 1)
    psnr = 34 + 4 * np.log2(bits)
    mse = 10 ** (-psnr / 10)
    others = {
        name: 70 + 12 * np.log2(bits) if meaning.better == "higher" else 0.1 / bits
        for name, meaning in schema.MEANINGS.items()
        if meaning.better
    }
    return {
        **others,
        "reference": image,
        "distorted": f"{image}.{codec}.{bpp}",
        "codec": codec,
        "bpp": bpp,
        "psnr": psnr,
        "ms_ssim": 1 - 0.02 / bits,
        "lpips": 0.08 / bits,
        "d_loss": 1 + 0.1 / bits,
        "roi_psnr": psnr + 12,
        "roi_ms_ssim": 0.06 * (1 - 0.01 / bits),
        "roi_lpips": 0.005 / bits,
        "roi_d_loss": 0.06 + 0.006 / bits,
        **{f"mse{plane}": factor * mse for plane, factor in _PLANES.items()},
        **{f"roi_mse{plane}": 0.06 * factor * mse for plane, factor in _PLANES.items()},
        "roi_fraction": 0.06,
        "error": None,
        **more,
    }


def sweep_rows(
    efficiencies: Mapping[str, float], images: int = 8, bpp: Sequence[float] = BPP
) -> list[dict]:
    """Make the rows of a sweep: codecs by how much each bit is worth."""
    return [
        feature_row(f"{i}.png", codec, rate * (1 + 0.02 * i), efficiency, quality=10 * k)
        for i in range(images)
        for codec, efficiency in efficiencies.items()
        for k, rate in enumerate(bpp)
    ]


def to_scores(rows: Sequence[Mapping], tmp_path) -> SweepScores:
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return read_sweep_scores(str(path))
