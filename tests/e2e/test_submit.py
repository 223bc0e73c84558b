"""`ray job submit` as in the README, to a head node that `ray start` starts."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roi_ray.preference.model.preference_model import load_preference_model
from tests.conftest import Photos, make_sweep_of
from tests.e2e.conftest import upload_folder
from tests.s3_server import BUCKET, SECRET, free_ports, make_client

pytestmark = [pytest.mark.e2e, pytest.mark.long]

ROOT = Path(__file__).parents[2]
PROJECT = "pyproject.toml roi_ray jobs cluster.yaml README.md LICENSE CHANGELOG.md .gitignore"
BIN = Path(sys.executable).parent


@dataclass
class Head:
    """A running head node.

    Attributes:
        checkout: a copy of the project, from which jobs are submitted.
        environment: variables with which Ray's command line reaches the node.
    """

    checkout: Path
    environment: dict[str, str]

    def ray(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "ray"), *arguments],
            cwd=self.checkout,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def submit(
        self, entry: str, *options: str, s3: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        variables = ["--runtime-env-json", json.dumps({"env_vars": s3})] if s3 else []
        command = ["job", "submit", "--working-dir", ".", *variables, *options, "--"]
        return self.ray(*command, *entry.split())


@contextmanager
def head_node(folder: Path, **settings: str) -> Iterator[Head]:
    checkout = folder / "checkout"
    checkout.mkdir()
    for name in PROJECT.split():
        source, target = ROOT / name, checkout / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    port, dashboard, agent, clients = free_ports(4)
    excluded = ("AWS_", "RAY_", "UV_COMPILE", "PYTHONDONTWRITE")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(excluded)}
    # Jobs run `python`: on a cluster that of the nodes' image, here that of the tests.
    inherited["PATH"] = f"{BIN}:{inherited['PATH']}"
    # A separate folder, because jobs would otherwise find another Ray on this machine; a short
    # one, because the paths of sockets are limited.
    inherited["RAY_TMPDIR"] = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    environment = {**inherited, **settings}
    command = f"start --head --block --num-cpus=2 --port={port} --ray-client-server-port={clients}"
    command += f" --dashboard-port={dashboard} --dashboard-agent-listen-port={agent}"
    command += f" --object-store-memory={500 * 2**20}"
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            [str(BIN / "ray"), *command.split()], env=environment, stdout=log, stderr=log
        )
    environment["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{dashboard}"
    head = Head(checkout, environment)
    try:
        deadline = time.monotonic() + 90
        # A command takes two seconds to find that nothing listens. The dashboard answers before the
        # agent, which starts the jobs, is ready.
        while not is_open(dashboard) or head.ray("job", "submit", "--", "true").returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text()[-4000:])
            time.sleep(0.3)
        yield head
    finally:
        server.terminate()  # its Ray processes end with it
        server.wait()
        shutil.rmtree(inherited["RAY_TMPDIR"], ignore_errors=True)


def is_open(port: int) -> bool:
    """Return whether a server listens on a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def list_shards(s3: dict[str, str], prefix: str) -> list[str]:
    listing = make_client(s3).list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/")
    names = [item["Key"].rpartition("/")[2] for item in listing.get("Contents", [])]
    return sorted(name for name in names if name.startswith("shard-"))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, photos: Photos, s3: dict[str, str]) -> Path:
    """A sweep of 24 references x 6 files, which is also on S3, below `sweep/`."""
    folder = tmp_path_factory.mktemp("sweep")
    make_sweep_of({f"{n}-{k}": p[8 * k :] for n, p in photos.items() for k in range(4)}, folder)
    upload_folder(s3, folder, "sweep")
    return folder


def test_job_submitted_by_uv_run_with_tokens_stops_resumes_and_shows_no_secret(
    tmp_path: Path, s3: dict[str, str], sweep: Path
) -> None:
    rows = pq.read_metadata(sweep / "manifest.parquet").num_rows
    token = tmp_path / "token"
    token.write_text("a-token-of-at-least-thirty-two-characters\n")
    settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    with head_node(tmp_path, **settings) as head:
        stranger = head.ray("job", "list", RAY_AUTH_MODE="disabled")
        assert stranger.returncode != 0

        entry = "uv run --no-dev jobs/score.py --engine ray --shard-size 6 --actors 1 "
        entry += f"--manifest s3://{BUCKET}/sweep/manifest.parquet --output s3://{BUCKET}/stop"
        started = head.submit(entry, "--no-wait", "--submission-id", "first", s3=s3)
        assert started.returncode == 0, started.stderr
        deadline = time.monotonic() + 300
        while not list_shards(s3, "stop"):
            assert time.monotonic() < deadline, head.ray("job", "logs", "first").stdout
            time.sleep(0.2)
        assert head.ray("job", "stop", "first").returncode == 0
        log = head.ray("job", "logs", "first").stdout
        assert "stopped: finished shards are kept; the same command resumes the run" in log
        kept = list_shards(s3, "stop")  # now that the job has ended
        assert 0 < 6 * len(kept) < rows
        assert "Traceback" not in log
        # The stopped job released its lock: the next one need not wait for a timeout.
        again = head.submit(entry, s3=s3)
        assert again.returncode == 0, again.stdout + again.stderr
        assert f"{rows} pairs, 0 failed; {rows - 6 * len(kept)} scored now" in again.stdout, (
            again.stdout
        )
        assert f"{rows}/{rows} pairs, " in again.stdout
        assert "\x1b[2K" not in again.stdout  # the escape code by which a progress bar redraws
        assert SECRET not in log + again.stdout + again.stderr
        assert len(list_shards(s3, "stop")) == rows / 6


def test_jobs_submitted_without_tokens_fail_compare_and_train(
    tmp_path: Path, s3: dict[str, str], sweep: Path
) -> None:
    # Under `uv run pytest`, Ray would believe that `uv run` started the head, too.
    settings = {"RAY_AUTH_MODE": "disabled", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    with head_node(tmp_path, **settings) as head:
        check_exit_code(head)
        check_comparisons_and_training(head, s3, sweep, tmp_path)


def check_exit_code(head: Head) -> None:
    done = head.submit("python jobs/score.py --manifest gone.csv --output out")
    assert done.returncode != 0
    assert "error: " in done.stdout and "gone.csv" in done.stdout


def check_comparisons_and_training(
    head: Head, s3: dict[str, str], sweep: Path, folder: Path
) -> None:
    rows = pq.read_table(sweep / "manifest.parquet").to_pylist()[:48]
    choices = [
        {
            "reference": a["reference"],
            "a": a["distorted"],
            "b": b["distorted"],
            "p_a": float(a["bpp"] > b["bpp"]),
        }
        for a, b in pairwise(rows)
        if a["reference"] == b["reference"]
    ]
    pq.write_table(pa.Table.from_pylist(choices), folder / "choices.parquet")
    make_client(s3).upload_file(str(folder / "choices.parquet"), BUCKET, "sweep/choices.parquet")
    compared = f"s3://{BUCKET}/compared"
    done = head.submit(
        "python jobs/compare.py --model none --actors 1 "
        f"--comparisons s3://{BUCKET}/sweep/choices.parquet --output {compared}",
        s3=s3,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    done = head.submit(
        f"python jobs/train.py --workers 2 --comparisons {compared}/comparisons.parquet "
        f"--output s3://{BUCKET}/mine.safetensors",
        s3=s3,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    make_client(s3).download_file(BUCKET, "mine.safetensors", str(folder / "mine.safetensors"))
    model = load_preference_model(str(folder / "mine.safetensors"))
    assert model.provenance["workers"] == 2
