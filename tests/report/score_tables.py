"""Tables of scores as a codec engineer could write them, for pages of any size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

METRICS = ("psnr", "ms_ssim", "roi_psnr", "roi_ms_ssim")


def write_scores(
    folder: Path,
    codecs: Sequence[str],
    images: Sequence[str],
    metrics: Sequence[str] = METRICS,
    points: int = 6,
    failed: int = 0,
    error: str = "cut off",
    **columns: object,
) -> str:
    """Write a table of scores; return its path.

    Quality rises by 4 dB per doubling of the bit rate, with noise per image. Codec number i needs
    0.9 ** i of the first one's bits.

    Args:
        folder: folder of the table.
        codecs: names of codecs.
        images: names of images.
        metrics: columns of numbers.
        points: number of points of each codec.
        failed: number of rows, the last ones, that failed.
        error: why they failed.
        columns: more columns of the same value in all rows; None is a missing number.
    """
    random = np.random.default_rng(7)
    detail = random.normal(0, 1.5, len(images))
    rows = []
    for number, codec in enumerate(codecs):
        for image, name in enumerate(images):
            efficiency = 0.9**number * np.exp(random.normal(0, 0.05))
            for point in range(points):
                psnr = 26 + 3 * point + detail[image]
                dissimilarity = 10 ** (-psnr / 20)
                values = {"psnr": psnr, "ms_ssim": 1 - dissimilarity, "lpips": dissimilarity}
                rows.append(
                    {
                        "reference": name,
                        "distorted": f"{name}-{number}-{point}",
                        "codec": codec,
                        "quality": 10.0 * (point + 1),
                        "bpp": float(0.1 * 2 ** (0.75 * point) * efficiency),
                        **{metric: values[metric.removeprefix("roi_")] for metric in metrics},
                        **columns,
                        "error_kind": None,
                        "error": None,
                    }
                )
    for row in rows[len(rows) - failed :]:
        row.update(dict.fromkeys(metrics), error_kind="ImageReadError", error=error)
    path = folder / "scores.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)
