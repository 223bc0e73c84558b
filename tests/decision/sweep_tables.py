"""Scores of sweeps whose BD-rates are known."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray.decision.score_table import SweepScores
from roi_ray.decision.sweep_scores import read_sweep_scores

QUALITIES = (10, 30, 50, 70, 90)


def make_rows(
    codecs: Mapping[str, float], images: int = 8, qualities: Sequence[int] = QUALITIES
) -> list[dict]:
    """Make rows of codecs that need so many times the bits of a law.

    The factor of one image differs from the codec's by a few percent, the same for all codecs but
    `jpeg`; its mean over images is the codec's.
    """
    spread = np.linspace(-0.02, 0.02, images)
    rows = []
    for image in range(images):
        for codec, factor in codecs.items():
            more = 0.0 if codec == "jpeg" else spread[image]
            for quality in qualities:
                bpp = 0.1 * (1 + 0.2 * image) * 2 ** (quality / 20)
                rows.append(
                    {
                        "reference": f"{image}.png",
                        "distorted": f"{image}.{codec}.{quality}",
                        "codec": codec,
                        "quality": float(quality),
                        "bpp": bpp * (factor + more),
                        "width": 64,
                        "height": 48,
                        "psnr": 30 + quality / 10 - image / 5,
                        "ms_ssim": 1 - 0.1 * 2 ** (-quality / 20),
                        "lpips": 0.3 * 2 ** (-quality / 20),
                        "roi_psnr": None if image == 0 else 29 + quality / 10,
                        "content": "art" if image % 2 else "photo",
                        "error": None,
                    }
                )
    return rows


def write_scores(rows: Sequence[Mapping], tmp_path, name: str = "scores.parquet") -> str:
    path = tmp_path / name
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return str(path)


def to_scores(rows: Sequence[Mapping], tmp_path) -> SweepScores:
    return read_sweep_scores(write_scores(rows, tmp_path))
