"""A small sweep of every kind of pair, scored by a job."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.settings import Settings
from tests.conftest import Photos, deepen, encode, encode_16_bits, write

SIZE = (164, 170)  # five scales of MS-SSIM


def score_sweep(photos: Photos, folder: Path, **settings: object) -> Path:
    """Score eight-bit and deep pairs, given masks, an empty mask, a small image, a missing file.

    Returns:
        the output: seven pairs with scores and one with an error, in three shards.
    """
    x = np.ascontiguousarray(photos["astronaut"][100 : 100 + SIZE[0], 150 : 150 + SIZE[1]])
    band = np.zeros(SIZE, np.uint8)
    band[-20:] = 255
    small = np.ascontiguousarray(photos["coffee"][:37, :60])
    files = {
        "x.png": encode(x),
        "low.jpg": encode(x, "JPEG", quality=15),
        "high.webp": encode(x, "WEBP", quality=85),
        "x16.png": encode_16_bits(deepen(x, 16)),
        "band.png": encode(band),
        "empty.png": encode(np.zeros(SIZE, np.uint8)),
        "small.png": encode(small),
        "small.jpg": encode(small, "JPEG", quality=40),
    }
    for name, data in files.items():
        write(folder / name, data)
    rows = [
        ("x.png", "low.jpg", None),
        ("x.png", "high.webp", None),
        ("x.png", "low.jpg", "band.png"),
        ("x.png", "high.webp", "empty.png"),
        ("x16.png", "high.webp", None),
        ("x.png", "x16.png", "band.png"),
        ("small.png", "small.jpg", None),
        ("x.png", "gone.png", None),
    ]
    names = ("reference", "distorted", "mask")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["pair_id"] = [f"pair {number}" for number in range(len(rows))]
    pq.write_table(pa.table(columns), folder / "m.parquet")
    options = Options("cpu", shard_size=4, engine="local")
    summary = score_manifest(
        str(folder / "m.parquet"), str(folder / "scores"), Settings(**settings), options
    )
    assert (summary.rows, summary.failed) == (8, 1)
    return folder / "scores"


def rewrite(scores: Path, pair_id: str, **values: object) -> None:
    """Change numbers of one pair in the Parquet files, and keep their footers."""
    for path in scores.glob("*.parquet"):
        table = pq.read_table(path)
        if pair_id not in table["pair_id"].to_pylist():
            continue
        row = table["pair_id"].to_pylist().index(pair_id)
        for name, value in values.items():
            column = table[name].to_pylist()
            column[row] = value
            field = table.schema.field(name)
            index = table.column_names.index(name)
            table = table.set_column(index, field, pa.array(column, field.type))
        pq.write_table(table, path)
        return
    raise ValueError(pair_id)
