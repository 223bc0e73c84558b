"""Hostile files: outcome, time and memory of decoding, and the error rows that they become."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from roi_ray import errors
from roi_ray.io.allowlist import build_allowlist
from roi_ray.pipeline.chunk import Chunk
from roi_ray.pipeline.decode_stage import DecodeLimits, decode_work_items
from roi_ray.pipeline.plan import make_work_items, split_into_shards
from tests.conftest import encode, write
from tests.imaging import hostile

MAX_PIXELS = 1 << 20
BYTES_PER_PIXEL = 64
"""Memory for a decoder's buffers, Pillow's images and numpy's array together."""
BASE_MEMORY = 96 << 20
"""Memory for metadata (Pillow allows 64 MiB of text in a PNG), the file's content and the heap."""
MAX_SECONDS = 10
"""CPU time for a file: on a busy machine, the clock runs on while the process waits."""

CHILD = """
import json, os, resource, signal, sys, time
from pathlib import Path
import numpy as np
from roi_ray.errors import ImageError
from roi_ray.imaging.decode import decode_image

folder, names, max_pixels, allowed, seconds = json.load(sys.stdin)
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # fewer threads need fewer stacks

def memory(name):
    status = Path("/proc/self/status").read_text()
    return int(status.split(name + ":")[1].split()[0]) << 10

def describe_outcome(data):
    try:
        pixels = decode_image(data, max_pixels)
    except ImageError as error:
        text = f"{type(error).__name__}: {error}"
        return text, isinstance(error.__cause__, MemoryError)
    assert pixels.dtype in (np.uint8, np.uint16)
    assert pixels.ndim == 3 and pixels.shape[2] == 3, pixels.shape
    assert pixels.shape[0] * pixels.shape[1] <= max_pixels
    return "decoded", False

for i, name in enumerate(names):  # load every library before measuring memory
    if name.startswith("good"):
        describe_outcome(Path(folder, str(i)).read_bytes())
base = memory("VmSize")
if allowed:
    resource.setrlimit(resource.RLIMIT_AS, (base + allowed, base + allowed))
for i, name in enumerate(names):
    print(name, flush=True)
    data = Path(folder, str(i)).read_bytes()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    except OSError:
        pass
    before, start = memory("VmRSS"), time.process_time()
    signal.setitimer(signal.ITIMER_PROF, seconds)  # kills the process, even inside a decoder
    text, starved = describe_outcome(data)
    signal.setitimer(signal.ITIMER_PROF, 0)
    took, peak = time.process_time() - start, memory("VmHWM") - before
    print(json.dumps([text, starved, took, peak]), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_hostile_files_decode_or_fail_within_time_and_memory_limits(tmp_path, photos) -> None:
    names = []
    for name, data in hostile.corpus(photos["coffee"], MAX_PIXELS):
        write(tmp_path / str(len(names)), data)
        names.append(name)
    assert (
        len(names) == len(set(names)) > len(hostile.PILLOW_FORMATS) * (hostile.CUTS + hostile.FLIPS)
    )

    allowed = BASE_MEMORY + BYTES_PER_PIXEL * MAX_PIXELS
    task = json.dumps([str(tmp_path), names, MAX_PIXELS, allowed, MAX_SECONDS])
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD],
        input=task,  # too long for an argument
        timeout=600,  # for a decoder that waits for ever
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"},
    )
    lines = run.stdout.splitlines()
    assert run.returncode == 0, f"{run.returncode} in {lines[-1:]}: {run.stderr[-2000:]}"
    assert lines[::2] == names
    results = dict(zip(names, map(json.loads, lines[1::2]), strict=True))
    slowest = max(results, key=lambda name: results[name][2])
    largest = max(results, key=lambda name: results[name][3])
    print(f"{len(names)} files; {slowest}: {results[slowest][2]:.1f} s;", end=" ")
    print(f"{largest}: {results[largest][3] >> 20} MiB of {allowed >> 20} MiB")
    for name, (text, starved, seconds, peak) in results.items():
        kind = text.split(":")[0]
        assert not starved, (name, text)
        assert seconds < MAX_SECONDS, name
        assert peak < allowed, name
        assert kind == "decoded" or issubclass(getattr(errors, kind), errors.ImageError), name
        if name.startswith("good"):
            assert text == "decoded", (name, text)
        if name.startswith("large"):
            assert kind == "ImageTooLarge", (name, text)


ODD_NAMES = [
    "with space.png",
    " leading and trailing .png",
    "größe-日本-😀.png",
    "e\u0301 decomposed.png",
    "line\nbreak.png",
    "tab\tquote'\"%20#?&.png",
    "back\\slash.png",
    "..png",
    "../beside/x.png",
    "a/../a/./x.png",
    "no extension",
    "wrong extension.jpg",
    "wrong extension.txt",
]
BAD_FILES = {
    "page.png": b"<!DOCTYPE html><title>404</title>",
    "page of\nlines.png": b"<html>\n</html>\n",
    "größe 日本.jpg": b"\xff\xd8\xff\xe0",
    "../beside/cut.png": b"\x89PNG\r\n\x1a\n",
    "empty file.webp": b"",
}


def decode_one_chunk(base, distorted) -> Chunk:
    ids = [str(row) for row in range(len(distorted))]
    table = pa.table(
        {"pair_id": ids, "reference": ["x.png"] * len(distorted), "distorted": distorted}
    )
    items = make_work_items(table, dict(enumerate(split_into_shards(table, 1000))))
    (part,) = decode_work_items(
        items,
        str(base),
        build_allowlist(str(base), [str(base.parent)]),
        DecodeLimits(MAX_PIXELS),
    )
    return Chunk.from_arrow(part)


def test_files_with_odd_names_are_read(tmp_path, photos) -> None:
    base, x = tmp_path / "here", photos["coffee"][:40, :50]
    for name in ["x.png", *ODD_NAMES]:
        write(base / name, encode(x))
    chunk = decode_one_chunk(base, ODD_NAMES)
    assert chunk.failures == [None] * len(ODD_NAMES)
    assert all(np.array_equal(image, x) for image in chunk.images)


def test_error_names_the_bad_file(tmp_path, photos) -> None:
    base, x = tmp_path / "here", photos["coffee"][:40, :50]
    for name, data in {"x.png": encode(x), **BAD_FILES}.items():
        write(base / name, data)
    missing = [
        "not there\n.png",
        "nul\0.png",
        "~nobody/x.png",
        "gopher://x/y.png",
        "a" * 5000,
        "..",
    ]
    names = [*BAD_FILES, *missing, "x.png"]
    chunk = decode_one_chunk(base, names)
    for name, failure in zip(names[:-1], chunk.failures, strict=False):
        assert issubclass(getattr(errors, failure.kind), errors.ImageError)
        assert failure.text.startswith(f"{name}: "), failure
    assert chunk.failures[-1] is None
