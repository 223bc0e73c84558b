"""Jobs whose images need more memory than there is, or than was planned."""

import os
import subprocess
import sys
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from roi_ray.imaging.header import ImageHeader
from roi_ray.io.allowlist import build_allowlist
from roi_ray.pipeline import memory_plan
from roi_ray.pipeline.memory_plan import plan_memory, sample_headers
from roi_ray.scoring.needs import LARGE_CHUNK, MEDIUM_CHUNK, SMALL_CHUNK, chunk_images
from tests.conftest import encode, write

SCORE_WITH_LIMIT = """
import resource, sys
from pathlib import Path
import torch
from roi_ray.metrics import strips
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.run import score_manifest
from roi_ray.runtime.memory import keep_freed_memory
from roi_ray.settings import Settings

manifest, output, megabytes = sys.argv[1:]
strips.WHOLE_PIXELS = 1 << 20
keep_freed_memory()
torch.set_num_threads(2)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (int(megabytes) << 20), -1))
options = Options(engine="local", device="cpu")
score_manifest(manifest, output, Settings(lpips="alex"), options)
"""


def write_pair(folder, name: str, photo, width: int, height: int) -> dict[str, str]:
    """Write a photograph, enlarged, and a JPEG of it; return the row of a manifest."""
    image = Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC)
    image.save(folder / f"{name}.png", compress_level=1)
    image.save(folder / f"{name}.jpg", quality=60)
    return {"reference": f"{name}.png", "distorted": f"{name}.jpg"}


def write_manifest(folder, rows) -> str:
    pq.write_table(pa.Table.from_pylist(rows), folder / "pairs.parquet")
    return str(folder / "pairs.parquet")


def score_with_limit(folder, rows, megabytes: int) -> list[dict]:
    """Score in a process that may take some more megabytes; return its rows."""
    manifest, output = write_manifest(folder, rows), str(folder / "scores")
    command = [sys.executable, "-c", SCORE_WITH_LIMIT, manifest, output, str(megabytes)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return pq.read_table(output).to_pylist()


def test_a_pair_that_cannot_fit_is_a_row_that_says_so(photos, tmp_path) -> None:
    photo = photos["coffee"]
    rows = [write_pair(tmp_path, f"small{k}", photo, 300 + k, 200) for k in range(3)]
    rows.insert(1, write_pair(tmp_path, "large", photo, 8000, 7500))
    results = score_with_limit(tmp_path, rows, 900)
    failed = [row for row in results if row["error_kind"]]
    assert [row["distorted"] for row in failed] == ["large.jpg"]
    assert failed[0]["error_kind"] == "OutOfMemory"
    assert "8000 x 7500 needs about " in failed[0]["error"]
    assert "MB are available: use fewer --actors" in failed[0]["error"]
    assert all(row["psnr"] > 20 for row in results if not row["error_kind"])


def test_headers_are_sampled_from_references_and_images(photos, tmp_path) -> None:
    photo = photos["coffee"][:90, :120]
    for number in range(100):
        write(tmp_path / f"{number}.png", encode(photo[: 30 + number % 60]))
    write(tmp_path / "y.jpg", encode(photo, "JPEG"))
    write(tmp_path / "bad.jpg", b"<html>404</html>")
    rows = pa.table(
        {
            "reference": [f"{number}.png" for number in range(100)],
            "distorted": ["y.jpg", "bad.jpg", "gone.jpg", "/etc/passwd"] * 25,
        }
    )
    headers = sample_headers(rows, str(tmp_path), build_allowlist(str(tmp_path)))
    assert {header.format for header in headers} == {"PNG", "JPEG"}
    assert sum(header.format == "PNG" for header in headers) == 64
    assert max(header.pixels for header in headers) == 120 * 90
    few = sample_headers(rows.slice(0, 3), str(tmp_path), build_allowlist(str(tmp_path)))
    assert sum(header.format == "PNG" for header in few) == 3


def test_file_that_is_not_delivered_does_not_hold_the_sample_up(
    photos, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(memory_plan, "_SECONDS", 0.5)
    write(tmp_path / "good.png", encode(photos["coffee"][:90, :120]))
    os.mkfifo(tmp_path / "pipe.png")  # nobody writes to it, so that opening it waits
    rows = pa.table({"reference": ["pipe.png", "good.png"], "distorted": ["good.png"] * 2})
    (header,) = sample_headers(rows, str(tmp_path), build_allowlist(str(tmp_path)))
    assert (header.width, header.height) == (120, 90)
    os.close(os.open(tmp_path / "pipe.png", os.O_RDWR))  # lets the threads end


def test_demands_fall_to_small_images() -> None:
    rows = pa.table({"reference": ["x.png"] * 24 + ["z.png"]})
    plan = plan_memory(rows, [ImageHeader(4000, 6000, 8, "PNG")], 1 << 26, "alex")
    assert plan.pixels == 30_000_000
    demands = list(plan.demands("cpu"))
    assert [each.chunk_bytes for each in demands[:3]] == [
        8 * 90_000_000,
        2 * 90_000_000,
        90_000_000,
    ]
    assert [each.chunks // 90_000_000 for each in demands[:3]] == [9, 3, 2]
    for larger, smaller in pairwise(demands[::3]):
        assert larger.decoder > smaller.decoder
        assert larger.actor >= smaller.actor
    assert demands[-1].pixels < 1 << 18
    assert next(plan._replace(images=2).demands("cpu")).chunks == 3 * 90_000_000
    large = [ImageHeader(9000, 9000, 16, "TIFF")]
    assert plan_memory(rows, large, 1 << 20, "alex").pixels == 1 << 20
    assert plan_memory(rows, [], 1 << 26, "alex").pixels == 5_000_000


@pytest.mark.parametrize(
    ("megapixels", "numbers"),
    [(0.25, (45, 45, 44)), (2, (8, 8, 5)), (12, (8, 7, 1)), (24, (8, 3, 1)), (67, (5, 1, 1))],
)
def test_images_of_a_chunk(megapixels, numbers) -> None:
    sizes = (LARGE_CHUNK, MEDIUM_CHUNK, SMALL_CHUNK)
    for chunk_bytes, images in zip(sizes, numbers, strict=True):
        assert chunk_images(int(megapixels * 1e6), 8, chunk_bytes) == images
        assert chunk_images(int(megapixels * 5e5), 16, chunk_bytes) == images
