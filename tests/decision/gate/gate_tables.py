"""Tables of scores of a codec whose curves are known, and of builds that differ from it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]

QUALITIES = (20, 40, 60, 80, 95)


def make_rows(
    images: int = 12, codec: str = "mine", rate: float = 1.0, folder: str = "/photos"
) -> list[Row]:
    """Make scores of images that are more or less difficult.

    Args:
        images: number of images.
        codec: name of the codec.
        rate: factor of all bit rates; 1.02 is a BD-rate of exactly +2 %.
        folder: folder of the references.
    """
    rows = []
    for image in range(images):
        difficulty = 1 + 0.1 * image
        for quality in QUALITIES:
            bpp = 0.1 * difficulty * 2 ** (quality / 20)
            rows.append(
                {
                    "reference": f"{folder}/{image:02d}.png",
                    "distorted": f"{codec}/{image:02d}-q{quality}.bin",
                    "codec": codec,
                    "quality": float(quality),
                    "bpp": rate * bpp,
                    "width": 512,
                    "height": 384,
                    "psnr": 25 + quality / 5 - image / 10,
                    "ms_ssim": 1 - 0.2 / (1 + quality / 10) - image / 1000,
                    "roi_lpips": 0.5 - quality / 250 + image / 1000,
                    "roi_fraction": 0.1 + 0.01 * image,
                    "error_kind": None,
                    "error": None,
                }
            )
    return rows


def fail(row: Row) -> None:
    """Turn a row into one that failed."""
    for name in ("bpp", "psnr", "ms_ssim", "roi_lpips", "roi_fraction", "width", "height"):
        row[name] = None
    row |= {"error_kind": "CodecError", "error": "the encoder crashed"}


def change(
    rows: list[Row], alter: Callable[[Row], None], images: Iterable[int] | None = None
) -> list[Row]:
    """Alter the rows of some images, of all by default."""
    chosen = None if images is None else {f"{image:02d}.png" for image in images}
    for row in rows:
        if chosen is None or row["reference"].rpartition("/")[2] in chosen:
            alter(row)
    return rows


def scale_rates(rows: list[Row], factors: Iterable[float]) -> list[Row]:
    """Multiply the bit rates of each image by a factor of its own."""
    by_image = dict(zip(dict.fromkeys(row["reference"] for row in rows), factors, strict=True))
    for row in rows:
        row["bpp"] *= by_image[row["reference"]]
    return rows


def draw_factors(mean: float, spread: float, images: int) -> list[float]:
    """Draw factors whose mean is exactly `mean`."""
    noise = np.random.default_rng(3).normal(0, spread, images)
    return list(mean + noise - noise.mean())


def write_table(path: Path, rows: list[Row]) -> str:
    """Write rows as Parquet; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)
