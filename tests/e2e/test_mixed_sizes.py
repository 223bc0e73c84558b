"""A manifest that mixes small and large images, on a local Ray."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from roi_ray.io.allowlist import build_allowlist
from roi_ray.pipeline.memory_plan import plan_memory, sample_headers
from tests.conftest import Photos
from tests.e2e.conftest import run_script

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_small_and_large_images_are_scored_as_planned_and_nothing_is_spilled(
    tmp_path: Path, photos: Photos
) -> None:
    rows = []
    for number, name in enumerate(list(photos)[:5]):
        rows += _write(tmp_path, f"small{number}", photos[name], (400 + number, 250), (20, 50, 80))
    rows += _write(tmp_path, "large", photos["coffee"], (3000, 2072), (30, 60, 90))
    manifest = tmp_path / "pairs.parquet"
    pq.write_table(pa.Table.from_pylist(rows), manifest)
    result = run_script("mixed_sizes.py", manifest, tmp_path / "scores", 2, timeout=900)
    assert (result["pairs"], result["failed"], result["spilled"]) == (18, 0, 0)
    assert 60 < result["used"] < result["store"]  # a chunk of large images takes 71 MiB

    table = pa.Table.from_pylist(rows)
    headers = sample_headers(table, str(tmp_path), build_allowlist(str(tmp_path)))
    demand = next(plan_memory(table, headers, 1 << 26, "alex").demands("cpu"))
    assert demand.actor / 2**20 / 2 < result["actor"] < demand.actor / 2**20
    assert result["decoder"] < demand.decoder / 2**20


def _write(
    folder: Path, name: str, photo: object, size: tuple[int, int], qualities: tuple[int, ...]
) -> list[dict[str, str]]:
    """Write a photograph of a size and JPEG files of it; return the rows of a manifest."""
    image = Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC)
    image.save(folder / f"{name}.png", compress_level=1)
    for quality in qualities:
        image.save(folder / f"{name}-{quality}.jpg", quality=quality)
    return [
        {"reference": f"{name}.png", "distorted": f"{name}-{quality}.jpg"} for quality in qualities
    ]
