"""A job of large images in a bounded address space."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.conftest import Photos, encode, write

pytestmark = pytest.mark.e2e

_MORE_MEMORY = 900 << 20
"""Bytes that a pair of 12 megapixels may take in addition to what a small one takes.

The two images take 72 MB. Scoring them whole takes 3 GiB.
"""

_JOB = """
import resource, sys
from pathlib import Path
from roi_ray.cli.app import main

# The address space of libraries and of the threads' stacks depends on the machine, so that the
# limit is one on what is added to that of a small pair.
limit = int(sys.argv.pop(1))
if limit:
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    main()
finally:
    print(Path("/proc/self/status").read_text().split("VmPeak:")[1].split()[0])
"""


def _score_pair(folder: Path, pixels: np.ndarray, limit: int) -> tuple[dict[str, object], int]:
    """Score a pair by `roi-ray score` in a process of its own.

    Args:
        folder: a new folder for the images and the scores.
        pixels: the reference.
        limit: largest address space of the process in bytes; 0 for none.

    Returns:
        the row of the output, and the peak of the address space in bytes.
    """
    write(folder / "x.png", encode(pixels, "PNG", compress_level=1))
    write(folder / "y.jpg", encode(pixels, "JPEG", quality=30))
    write(folder / "m.csv", b"reference,distorted\nx.png,y.jpg\n")
    command = [sys.executable, "-c", _JOB, str(limit), "score", "--engine", "local"]
    command += ["--device", "cpu", "--manifest", str(folder / "m.csv")]
    job = subprocess.run(
        [*command, "--output", str(folder / "scores")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert job.returncode == 0, job.stdout + job.stderr
    (row,) = pq.read_table(folder / "scores").to_pylist()
    return row, int(job.stdout.split()[-1]) << 10


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_pair_of_12_megapixels_is_scored_within_a_limit_on_memory(
    tmp_path: Path, photos: Photos
) -> None:
    photo = photos["coffee"]
    small, peak = _score_pair(tmp_path / "small", photo, limit=0)
    enlarged = Image.fromarray(photo).resize((4200, 2800), Image.Resampling.LANCZOS)
    large, _ = _score_pair(tmp_path / "large", np.asarray(enlarged), limit=peak + _MORE_MEMORY)
    assert large["error"] is None
    # Without fine details, JPEG loses less.
    assert small["psnr"] < large["psnr"] < 60
    assert 0 < large["roi_fraction"] == pytest.approx(small["roi_fraction"], abs=0.1)
