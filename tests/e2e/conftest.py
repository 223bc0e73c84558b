"""Functions that run whole jobs."""

import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import roi_ray
from roi_ray import schema
from roi_ray.imaging.decode import decode_image
from roi_ray.scoring.scorer import Scorer
from tests.conftest import Photos, encode, write
from tests.s3_server import BUCKET, make_client

_JOBS = Path(__file__).parents[2] / "jobs"


def run_job(
    *arguments: str, cwd: Path, job: str = "score", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `python jobs/score.py ...`, or another job, from another folder, as a user does."""
    return subprocess.run(
        [sys.executable, str(_JOBS / f"{job}.py"), *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def start_job(*arguments: str, job: str = "score", **environment: str) -> subprocess.Popen[str]:
    """Start `python jobs/score.py ...`, or another job, and return without waiting."""
    return subprocess.Popen(
        [sys.executable, str(_JOBS / f"{job}.py"), *arguments],
        env={**os.environ, **environment},
        # In its own process group, so that a kill also ends the driver's Ray, like a lost machine.
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_script(script: str, *arguments: object, timeout: float) -> dict[str, Any]:
    """Run a script of this folder in its own process; return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Ray may print other lines.
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("{")]
    result: dict[str, Any] = json.loads(line)
    return result


def upload_folder(environment: dict[str, str], folder: Path, prefix: str, without: str = "") -> str:
    """Upload the files of a folder except one; return the folder's URI on the server."""
    client = make_client(environment)
    for path in (path for path in folder.rglob("*") if path.is_file()):
        if (key := str(path.relative_to(folder))) != without:
            client.upload_file(str(path), BUCKET, f"{prefix}/{key}")
    return f"s3://{BUCKET}/{prefix}"


def make_many_small_pairs(folder: Path, photos: Photos, count: int, height: int = 40) -> str:
    """Write crops of photographs and 20 JPEG files of each; return the manifest's path."""
    rows = []
    for index in range(count // 20):
        photo = photos[list(photos)[index % len(photos)]]
        top, left = 7 * index % 200, 11 * index % 250
        x = photo[top : top + height, left : left + height + 8]
        write(folder / f"{index}.png", encode(x))
        for quality in range(20):
            name = f"{index}-{quality}.jpg"
            write(folder / name, encode(x, "JPEG", quality=4 + 4 * quality))
            rows.append({"reference": f"{index}.png", "distorted": name})
    pq.write_table(pa.Table.from_pylist(rows), folder / "m.parquet")
    return str(folder / "m.parquet")


def score_with_one_thread(reference: bytes, distorted: bytes) -> dict[str, Any]:
    """Score as a process with one thread does: the last digits depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return roi_ray.score(reference, distorted).to_dict()
    finally:
        torch.set_num_threads(threads)


def check_scores(rows: list[dict[str, Any]], folder: Path) -> None:
    """Check that each row has the scores that a Scorer computes without Ray.

    Args:
        rows: rows of an output without error rows.
        folder: folder of the manifest; references and distorted images are relative to it.
    """
    scorer = Scorer()
    for reference, group in groupby(rows, key=lambda row: row[schema.REFERENCE]):
        rows_of_reference = list(group)
        prepared = scorer.prepare(decode_image((folder / reference).read_bytes()))
        files = [folder / row[schema.DISTORTED] for row in rows_of_reference]
        expected = scorer.score(prepared, [decode_image(file.read_bytes()) for file in files])
        for row, scores in zip(rows_of_reference, expected, strict=True):
            numbers = scores.to_dict()
            assert {name: row[name] for name in numbers} == pytest.approx(
                numbers, rel=1e-6, abs=1e-6
            )
