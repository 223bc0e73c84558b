"""Scores for tests, written as `roi-ray score` writes them, with numbers instead of images."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from roi_ray import schema
from roi_ray.pipeline.run_record import describe_run, write_run
from roi_ray.pipeline.score_kind import make_score_kind
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.collected import Collected
from roi_ray.votes.questions.from_scores import collect_scores

QUALITIES = (10, 30, 50, 70, 90)


def score_row(original: str, codec: str, quality: float, **values: Any) -> dict[str, Any]:
    """Make a row of scores: MS-SSIM from 8 dB at quality 0 to 26 dB at 100, others alike."""
    seed = sum(map(ord, f"{original}{codec}"))
    decibels = 8 + 0.18 * quality + np.random.default_rng(seed).uniform(0, 2)
    row: dict[str, Any] = {
        "reference": f"originals/{original}.png",
        "distorted": f"{codec}/{original}-{quality}.jpg",
        "codec": codec,
        "target_metric": "quality",
        "target": float(quality),
        "bpp": 0.02 * quality,
        "roi_fraction": 0.25,
        "error_kind": None,
        "error": None,
    }
    for name in schema.QUALITY_COLUMNS:
        sign = 1 if schema.MEANINGS[name].better == "higher" else -1
        row[name] = sign * decibels
    row["ms_ssim"] = row["roi_ms_ssim"] = 1 - 10 ** (-decibels / 10)
    return {**row, **values}


def sweep_rows(originals: int = 4, codecs: str = "xyz") -> list[dict[str, Any]]:
    """Make the rows of a sweep: originals x codecs x `QUALITIES`."""
    return [
        score_row(f"photo{number}", codec, quality)
        for number in range(originals)
        for codec in codecs
        for quality in QUALITIES
    ]


def write_scores(folder: Path, rows: list[dict[str, Any]], drop: tuple[str, ...] = ()) -> str:
    """Write rows as a Parquet file; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "scores.parquet"
    table = pa.Table.from_pylist(rows)
    pq.write_table(table.drop_columns(list(drop)), path)
    return str(path)


def collect(
    folder: Path, rows: list[dict[str, Any]], drop: tuple[str, ...] = (), **options: Any
) -> Collected:
    """Write scores, and collect questions from them."""
    return collect_scores(write_scores(folder, rows, drop), VoteOptions(**options))


def write_record(folder: Path | str, base: str) -> None:
    """Write the record of a run that scored a manifest in the folder `base`."""
    config = {
        "manifest": {"rows": 1},
        "shard_size": 100,
        "roi_weighting": "mean",
        "precision": "fp32",
        "weights": {},
    }
    write_run(str(folder), describe_run(make_score_kind(), config, {"base": base}))
