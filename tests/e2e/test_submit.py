"""`ray job submit` as in the README, and `serve deploy`, to head nodes that `ray start` starts."""

import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.web.keys import hash_key
from tests.conftest import Photos, encode, make_sweep_of, write
from tests.e2e.conftest import score_with_one_thread, upload_folder
from tests.e2e.faulty_s3 import Fault, FaultyS3
from tests.e2e.head import Head, head_node
from tests.ports import free_ports
from tests.s3_server import BUCKET, SECRET, make_client
from tests.service.test_deploy import serve_config

pytestmark = [pytest.mark.e2e, pytest.mark.long]

PATIENCE = 180.0
"""Seconds that the service may take on a busy machine."""


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
    files = pq.read_table(sweep / "manifest.parquet")["distorted"].to_pylist()
    rows = len(files)
    token = tmp_path / "token"
    token.write_text("a-token-of-at-least-thirty-two-characters\n")
    settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    # One file waits, so that the job does not end before it is stopped. Not the last one, whose
    # header is read before the job begins.
    paused = Fault("paused", key=files[-2])
    with (
        FaultyS3(s3["AWS_ENDPOINT_URL"], paused) as proxy,
        head_node(tmp_path, **settings) as head,
    ):
        variables = {**s3, "AWS_ENDPOINT_URL": proxy.url}
        assert httpx.get(f"{head.url}/api/jobs/", timeout=PATIENCE).status_code == 401

        entry = "uv run --no-dev jobs/score.py --engine ray --shard-size 6 --actors 1 "
        entry += f"--manifest s3://{BUCKET}/sweep/manifest.parquet --output s3://{BUCKET}/stop"
        started = head.submit(entry, "--no-wait", "--submission-id", "first", s3=variables)
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
        proxy.release()
        # The stopped job released its lock: the next one need not wait for a timeout.
        again = head.submit(entry, s3=variables)
        assert again.returncode == 0, again.stdout + again.stderr
        assert f"{rows} pairs, 0 failed; {rows - 6 * len(kept)} scored now" in again.stdout, (
            again.stdout
        )
        assert f"{rows}/{rows} pairs, " in again.stdout
        assert "\x1b[2K" not in again.stdout  # the escape code by which a progress bar redraws
        assert SECRET not in log + again.stdout + again.stderr
        assert len(list_shards(s3, "stop")) == rows / 6


def test_jobs_submitted_without_tokens_fail_compare_train_and_serve(
    tmp_path: Path, s3: dict[str, str], sweep: Path, photos: Photos
) -> None:
    """One head node goes through all of it, because its start takes half a minute."""
    # Under `uv run pytest`, Ray would believe that `uv run` started the head, too.
    settings = {"RAY_AUTH_MODE": "disabled", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    with head_node(tmp_path, **settings) as head:
        check_exit_code(head)
        check_comparisons_and_training(head, s3, sweep, tmp_path)
        check_serve_deploy(head, photos, tmp_path)


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


def check_serve_deploy(head: Head, photos: Photos, folder: Path) -> None:
    """The configuration of the README starts a service, beside which no second one starts."""
    (port,) = free_ports(1)
    config = serve_config()
    config["http_options"] = {"host": "127.0.0.1", "port": port}
    keys = write(folder / "keys.txt", f"{hash_key('a key')} me\n".encode())
    (application,) = config["applications"]
    application["args"] |= {"device": "cpu", "threads": 1, "max_replicas": 1, "allow_prefixes": []}
    application["args"] |= {"api_keys_file": keys}
    path = write(folder / "serve.yaml", yaml.safe_dump(config).encode())
    done = head.run("serve", "deploy", path, "--address", head.url)
    assert done.returncode == 0, done.stdout + done.stderr
    url = f"http://127.0.0.1:{port}/v1"
    wait_until_ready(url, head)
    photo = photos["chelsea"][:192, :256]
    original, distorted = encode(photo), encode(photo, "JPEG", quality=40)
    files = [("reference", ("o.png", original)), ("image", ("d.jpg", distorted))]
    assert httpx.post(f"{url}/score", files=files, timeout=PATIENCE).status_code == 401
    headers = {"Authorization": "Bearer a key"}
    response = httpx.post(f"{url}/score", files=files, headers=headers, timeout=PATIENCE)
    assert response.status_code == 200, response.text
    (image,) = response.json()["images"]
    assert score_with_one_thread(original, distorted).items() <= image.items()
    second = head.submit("python jobs/serve.py --port 0")
    assert second.returncode != 0
    assert "error: Ray Serve runs in this cluster already" in second.stdout
    assert httpx.get(f"{url}/ready", timeout=PATIENCE).status_code == 200


def wait_until_ready(url: str, head: Head) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/ready", timeout=PATIENCE).status_code == 200:
                return
        if time.monotonic() > end:
            raise AssertionError(head.run("serve", "status", "--address", head.url).stdout)
        time.sleep(0.5)
