"""Photographs, encoders and servers that tests share."""

import atexit
import gc
import io
import json
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from roi_ray.imaging.decode import decode_image
from roi_ray.imaging.pixels import HighBitDepthImage, Pixels, Pixels8
from roi_ray.io import lease, lock
from roi_ray.runtime.logs import LOGGER
from roi_ray.runtime.ray_start import start_ray
from roi_ray.sweep import photographs
from roi_ray.sweep.builtin import make_codec
from roi_ray.sweep.source import SourceImage
from tests.s3_server import s3, s3_in_this_process  # fixtures

__all__ = ["s3", "s3_in_this_process"]

# A local Ray writes an authentication token into the home folder otherwise.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
# Tests that run side by side share the cores with each other and with the processes they start.
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_THREADS = (os.cpu_count() or 1) // _PROCESSES or 1
os.environ.setdefault("OMP_NUM_THREADS", str(_THREADS))
torch.set_num_threads(_THREADS)
if "PYTEST_XDIST_WORKER" in os.environ and "RAY_TMPDIR" not in os.environ:
    # A folder per worker for its Ray, with a short name: the paths of sockets are limited.
    os.environ["RAY_TMPDIR"] = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    atexit.register(shutil.rmtree, os.environ["RAY_TMPDIR"], ignore_errors=True)
# A Ray that a test starts on a busy machine may take longer than Ray's 30 seconds.
os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "120")
# Tests read metrics of processes that may have ended more than Ray's two minutes ago.
os.environ.setdefault("RAY_WORKER_TIMEOUT_S", "3600")
# As `fit` does on its own Ray: this one has no nodes that could be taken away either.
os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
# Otherwise the tests that compute in this process would leave Ray's processes hardly any time.
os.environ.setdefault("RAY_worker_niceness", "0")
# Without this, each Ray also starts a process that collects usage statistics.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Otherwise, under `uv run`, Ray makes every worker resolve the project again.
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

Photos = dict[str, Pixels8]

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


_RUN_CODE = """
import contextlib, io, json, sys, traceback
for line in sys.stdin:
    printed, error = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        try:
            exec(json.loads(line), {})
        except Exception:
            error = traceback.format_exc()
    print(json.dumps([printed.getvalue(), error]), flush=True)
"""


@pytest.fixture(scope="session")
def run_in_triton_interpreter() -> Iterator[Callable[[str], str]]:
    """A function that runs code, its GPU kernels by Triton's interpreter, and returns its output.

    Triton asks for the interpreter when it is imported: in another process, which all tests share.
    """
    pytest.importorskip("triton")
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", _RUN_CODE],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(code: str) -> str:
            print(json.dumps(code), file=process.stdin, flush=True)
            printed, error = json.loads(process.stdout.readline())
            assert error is None, error
            return printed

        yield run


needs_x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="emulates an x86 CPU with AVX2"
)


def run_on_avx2(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, on a CPU whose newest instructions are AVX2.

    oneDNN, which computes torch's convolutions, then does as it does on such a CPU.
    """
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=False,
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin the parts of the tests, one for each process, with those that take long.

    The first part begins with the tests on the shared Ray, so that one process alone starts it. The
    other parts begin with an equal number of long tests each. So all processes end with short ones.
    """
    on_ray, long, others = [], [], []
    for item in items:
        if "ray_cluster" in getattr(item, "fixturenames", ()):
            on_ray.append(item)
        else:
            (long if item.get_closest_marker("long") else others).append(item)
    parts = max(2, _PROCESSES)
    cuts = [len(long) * part // (parts - 1) for part in range(parts)]
    begins = [on_ray, *(long[begin:end] for begin, end in pairwise(cuts))]
    ordered: list[pytest.Item] = []
    for part, begin in enumerate(begins):
        end = len(items) * (part + 1) // parts
        ordered += begin
        fill = max(0, end - len(ordered))
        ordered += others[:fill]
        del others[:fill]
    items[:] = ordered + others


@pytest.fixture(autouse=True)
def reset_logger() -> None:
    """Reset the logger, which a command's `main` sends to standard error."""
    LOGGER.handlers = []
    LOGGER.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def photos() -> Photos:
    """Real photographs by name, uint8 (H, W, 3)."""
    return {name: decode_image(path.read_bytes()) for name, path in photographs().items()}


@pytest.fixture
def fast_lock(monkeypatch) -> None:
    """Output locks that expire ten times faster."""
    for name, seconds in {
        "TIMEOUT_SECONDS": 3.0,
        "_HEARTBEAT_SECONDS": 0.3,
        "_POLL_SECONDS": 0.1,
    }.items():
        monkeypatch.setattr(lock, name, seconds)
    monkeypatch.setattr(lease, "CONFIRM_SECONDS", 0.1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


def encode(pixels: Pixels, file_format: str = "PNG", **options: object) -> bytes:
    """Encode pixels as an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Encode pixels as JPEG and decode them again."""
    return decode_image(encode(pixels, "JPEG", quality=quality))


def to_tensor(pixels: NDArray[np.number]) -> torch.Tensor:
    """Copy pixels, (H, W, 3), to a tensor of the same type, (3, H, W)."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)


def deepen(pixels: Pixels8, bit_depth: int, seed: int = 0) -> HighBitDepthImage:
    """Make an image of more bits: that of 8 bits, with detail below one of its levels."""
    detail = np.random.default_rng(seed).random(pixels.shape) - 0.5
    unit_range = ((pixels + detail) / 255).clip(0, 1)
    samples = (unit_range * (2**bit_depth - 1)).round().astype(np.uint16)
    return HighBitDepthImage(samples, bit_depth)


def encode_16_bits(samples: NDArray[np.uint16]) -> bytes:
    """Encode samples as a PNG of 16 bits per sample."""
    import imagecodecs

    return imagecodecs.png_encode(np.ascontiguousarray(samples))


def strip_colours(text: str) -> str:
    """Remove a terminal's colour codes."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def write(path: Path, data: bytes) -> str:
    """Write a file and the folders above it; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


class _SharedRay:
    """Whether `ray_cluster` has started a Ray in this process."""

    is_running = False


@pytest.fixture(scope="module")
def ray_cluster() -> None:
    """A local Ray that modules share; it schedules two CPUs, whatever the machine has."""
    if _SharedRay.is_running:
        return
    # Ray warns of a new default for workers that request no GPU.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        options = {"address": "local", "num_cpus": 2, "object_store_memory": 500 * 2**20}
        start_ray({**options, "logging_level": "ERROR"})
    _SharedRay.is_running = True


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the shared Ray before a module that does not need it: idle, it takes 4 % of a core."""
    is_needed = nextitem is not None and (
        nextitem.getparent(pytest.Module) is item.getparent(pytest.Module)
        or "ray_cluster" in getattr(nextitem, "fixturenames", ())
    )
    if _SharedRay.is_running and not is_needed:
        import ray

        gc.collect()  # as `runtime.cluster.connect` does
        ray.shutdown()
        _SharedRay.is_running = False


@pytest.fixture
def without_ray(monkeypatch) -> None:
    """Hide a Ray to which this process is connected: `auto` then chooses as where there is none."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delitem(sys.modules, "ray", raising=False)


def make_sweep_of(photos: Photos, folder: Path, side: int = 96) -> str:
    """Write a sweep of crops of photographs, 2 codecs x 3 qualities each; return its path."""
    crops = {name: pixels[:side, : side + 32] for name, pixels in photos.items()}
    return write_sweep(crops, folder, {"jpeg": [10, 50, 90], "webp": [5, 50, 90]})


def write_sweep(
    images: Mapping[str, Pixels8], folder: Path, qualities: Mapping[str, Sequence[int]]
) -> str:
    """Write originals, encoded files and a manifest as people write them; return its path."""
    rows = []
    for name, pixels in images.items():
        write(folder / f"originals/{name}.png", encode(pixels))
        for codec in map(make_codec, qualities):
            for quality in qualities[codec.label]:
                data = codec.encode(SourceImage(pixels), quality).data
                distorted = f"decoded/{codec.label}/{name}-q{quality:02d}{codec.suffix}"
                write(folder / distorted, data)
                rows.append(
                    {
                        "reference": f"originals/{name}.png",
                        "distorted": distorted,
                        "codec": codec.label,
                        "quality": quality,
                        "bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
                    }
                )
    pq.write_table(pa.Table.from_pylist(rows), folder / "manifest.parquet")
    return str(folder / "manifest.parquet")
