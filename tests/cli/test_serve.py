"""`roi-ray serve`: its options and its errors. tests/e2e/test_service.py runs it."""

import importlib.util
import os
import subprocess
import sys

import pytest

from roi_ray.errors import ClusterError
from roi_ray.runtime import cluster
from roi_ray.service.options import Limits, ServiceOptions
from roi_ray.settings import Settings
from roi_ray.web.keys import hash_key
from tests.conftest import strip_colours, write


@pytest.fixture
def calls(monkeypatch) -> list[tuple[object, ...]]:
    """What the command asks to be served; the service cuts 0 requests off."""
    from roi_ray.service.lifecycle import run

    asked: list[tuple[object, ...]] = []

    def serve(options, host, port, drain_seconds, announce):
        asked.append((options, host, port, drain_seconds))
        announce(run.make_url(host, port))
        return 0

    monkeypatch.setattr(run, "serve", serve)
    return asked


def test_defaults_serve_on_loopback_and_print_one_line(run, calls) -> None:
    done = run()
    assert (done.exit_code, calls) == (0, [(ServiceOptions(), "127.0.0.1", 8000, None)])
    (line,) = done.stdout.splitlines()
    assert line.startswith("serving at http://127.0.0.1:8000 - try: curl ")


def test_every_option_reaches_the_service(run, calls, tmp_path) -> None:
    keys = write(tmp_path / "keys", f"{hash_key('a')} me\n".encode())
    text = f"""
        --host localhost --port 0 --api-keys {keys} --allow-prefix /a --allow-prefix s3://b/c
        --lpips st-alex --saliency s.pth --discriminator d.pth --roi-weighting normalised
        --precision bf16 --metrics ssimulacra2 --weights-dir w --model m.safetensors
        --allow-slow-precision --device cuda --replicas 2 --max-replicas 3 --gpus-per-replica 0.5
        --threads 4 --batch 5 --decoders 6 --apis 7 --reference-bytes 8MB --prepared-bytes 9MB
        --max-body-bytes 10MiB --max-waiting-bytes 11MiB --max-pixels 12 --max-images 13
        --max-requests 14 --timeout 15.5 --drain-seconds 16 --log-level error
    """
    done = run(*text.split())
    assert done.exit_code == 0, done.stderr
    options = ServiceOptions(
        settings=Settings("st-alex", "s.pth", "d.pth", "normalised", "bf16", ("ssimulacra2",)),
        model="m.safetensors",
        device="cuda",
        replicas=2,
        max_replicas=3,
        gpus_per_replica=0.5,
        threads=4,
        batch=5,
        decoders=6,
        apis=7,
        weights_dir="w",
        allow_slow_precision=True,
        allow_prefixes=("/a", "s3://b/c"),
        api_keys=(hash_key("a"),),
        reference_bytes=8_000_000,
        prepared_bytes=9_000_000,
        limits=Limits(
            max_body_bytes=10 << 20,
            max_pixels=12,
            max_images=13,
            max_requests=14,
            max_waiting_bytes=11 << 20,
            timeout_seconds=15.5,
        ),
    )
    assert calls == [(options, "localhost", 0, 16.0)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--max-body-bytes", "3Q"], "--max-body-bytes: '3Q' is not a size in bytes"),
        (["--max-body-bytes", "9" * 400], "is not a size in bytes"),
        (["--timeout", "inf"], "timeout_seconds is inf"),
        (["--api-keys", "/gone"], "/gone: No such file"),
        (["--replicas", "2", "--max-replicas", "1"], "fewer than replicas"),
        (["--host", "192.0.2.99"], "--host 192.0.2.99 is not an address of this machine"),
        (["--allow-prefix", "/gone"], "/gone is not a folder"),
        (["--saliency", "gone.pth"], "gone.pth"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_code_2(run, arguments, text) -> None:
    done = run("--port", 0, *arguments)
    assert done.exit_code == 2
    (line,) = strip_colours(done.stderr).splitlines()
    assert line.startswith("error: ") and text in line


def test_a_missing_extra_is_named(run, monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "fastapi" else find(name)
    )
    done = run()
    assert done.exit_code == 2
    assert done.stderr == (
        "error: the service needs the package fastapi: pip install 'roi-ray[service]'\n"
    )


def test_requests_that_were_cut_off_are_exit_code_4(run, monkeypatch) -> None:
    from roi_ray.service.lifecycle import run as service

    monkeypatch.setattr(service, "serve", lambda *_: 3)
    done = run()
    assert (done.exit_code, done.stderr) == (4, "error: 3 requests were cut off\n")


def test_an_unreachable_cluster_is_one_line_and_exit_code_2(monkeypatch) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "roi_ray", "serve", "--port", "0"],
        env={**os.environ, "RAY_ADDRESS": "https://example.invalid:8265"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: cannot use RAY_ADDRESS=https://example.invalid:8265: ")


def test_other_hosts_than_loopback_without_keys_are_a_warning(run, monkeypatch, tmp_path) -> None:
    """The next step, the connection to Ray, fails here, also where tests share a Ray."""

    def connect(**_):
        raise ClusterError("no cluster")

    monkeypatch.setattr(cluster, "connect", connect)
    warning = "0.0.0.0 is not only this machine, and no key is needed"
    keys = write(tmp_path / "keys", hash_key("a").encode())
    assert warning in run("--port", 0, "--host", "0.0.0.0").stderr
    assert warning not in run("--port", 0, "--host", "0.0.0.0", "--api-keys", keys).stderr
    assert "no key is needed" not in run("--port", 0).stderr
