"""Commands that fail in every way: the error says what happened, and nothing remains."""

import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress

import numpy as np
import psutil
import pytest

from roi_ray.errors import CodecError
from roi_ray.sweep.source import SourceImage
from tests.sweep.external.hostile import Hostile

IMAGE = SourceImage(np.full((40, 60, 3), 90, np.uint8))


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The folder of working folders."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def hostile(tmp_path, work):
    """An encoder of which nothing may remain."""
    encoder = Hostile(tmp_path)
    yield encoder
    assert encoder.processes() == []
    assert list(work.iterdir()) == []
    assert encoder.precious.read_text() == "precious"
    assert find_launchers() == []


def find_launchers():
    """Return the launchers that this process has started and that still run."""
    running = []
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            if any(part.endswith("launcher.py") for part in process.cmdline()):
                running.append(process.pid)
    return running


FAILURES = {
    "hang": ({"time_limit": 0.7}, "took more than 0.7 s and was killed; raise `time_limit`"),
    "hanging_children": ({"time_limit": 0.7}, "took more than 0.7 s"),
    "nothing": ({}, "did not write output.png, nothing else either; .* it printed nothing"),
    "elsewhere": ({}, "did not write output.png, but output.png.tmp; let it write"),
    "empty": ({}, "output.png is empty"),
    "rubbish": ({}, "wrote a file that roi-ray does not read .* add a command `decode`"),
    "gigabyte": ({}, r"failed with exit code 7; .* standard error ends: .*x00\\x00$"),
    "signal": ({}, r"ended by signal SIGSEGV; .* ends: about to \\x1b\[1mcrash$"),
    "code": ({}, "failed with exit code 3; run it by hand .* standard error ends: bad option$"),
    "only_stdout": ({}, "failed with exit code 3; .* standard output ends: bad option$"),
    "huge": ({"output_limit": 1 << 20}, "signal SIGXFSZ when a file grew to 1.*raise `output_l"),
    "hole": ({"output_limit": 1 << 20}, "SIGXFSZ.* `output_limit`|exit code 5"),
    "folder": ({}, "made a folder of output.png, which must be a plain file"),
    "link": ({}, "made a symbolic link of output.png"),
    "pipe": ({}, "made a special file of output.png"),
    "delete": ({}, "did not write output.png, nothing else either"),
    "replace": ({}, "did not write output.png, nothing else either"),
    "stdin": ({}, "output.png is empty"),
    "kill_launcher": ({}, "was ended, because the process that watched it was killed"),
    "stop_launcher": ({}, "was ended, because the process that watched it was killed"),
    "memory_for_long": (
        {"memory_limit": 100 << 20},
        "took more than .* of memory .*`memory_l",
    ),
}


@pytest.mark.parametrize("what", FAILURES)
def test_failure_names_the_command_and_what_happened(what, hostile):
    changes, message = FAILURES[what]
    with pytest.raises(CodecError, match=message) as caught:
        hostile.codec(what, **changes).encode(IMAGE, 50)
    text = str(caught.value)
    assert text.startswith(f"`{hostile.script} {what} input.png output.png 50` ")
    assert len(text) < 1500 and text.isprintable()


@pytest.mark.parametrize("what", ["copy", "children", "forbid"])
def test_command_that_leaves_processes_or_files_is_cleaned_up(what, hostile):
    assert hostile.codec(what).encode(IMAGE, 50).data == IMAGE.file("png", 8)


def test_memory_is_that_of_the_command_and_not_of_this_process(hostile):
    large = np.ones(40_000_000)  # 320 MB
    copy = hostile.codec("copy").encode(IMAGE, 50)
    assert 1 << 20 < copy.memory < 30 << 20 < large.nbytes
    grandchild = hostile.codec("memory").encode(IMAGE, 50)
    assert 150 << 20 < grandchild.memory < 200 << 20


def test_seconds_include_those_of_what_the_command_starts(hostile):
    assert 0.3 < hostile.codec("time").encode(IMAGE, 50).seconds < 30


KILLED = """
import sys, tempfile
import numpy as np
from roi_ray.sweep.source import SourceImage
from roi_ray.sweep.external import make_external_codec
tempfile.tempdir = sys.argv[1]
image = SourceImage(np.zeros((40, 60, 3), np.uint8))
make_external_codec("mine", eval(sys.argv[2])).encode(image, 50)
"""


@pytest.fixture
def worker(hostile, work):
    """A process whose encoder hangs."""
    table = repr(hostile.table("hang"))
    arguments = [sys.executable, "-c", KILLED, work, table]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
        try:
            hostile.wait_until(lambda: process.poll() is not None or hostile.started.exists())
            assert hostile.processes()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_remains_when_the_worker_is_killed(number, worker, hostile, work):
    worker.send_signal(number)
    worker.wait()
    hostile.wait_until(lambda: not hostile.processes())
    hostile.wait_until(lambda: not list(work.iterdir()))


def test_command_ends_when_worker_and_launcher_are_killed_at_once(worker, hostile, work):
    (launcher,) = psutil.Process(worker.pid).children()
    assert any(part.endswith("launcher.py") for part in launcher.cmdline())
    launcher.suspend()
    worker.kill()
    launcher.kill()
    worker.wait()
    hostile.wait_until(lambda: not hostile.processes())
    for folder in work.iterdir():  # nobody was left to remove it
        shutil.rmtree(folder)


def test_full_disk_is_named(tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "none", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs the rights of an administrator")
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        hostile = Hostile(tmp_path)
        with pytest.raises(CodecError, match=rf"the disk of {disk} is full: .* set TMPDIR"):
            hostile.codec("fill").encode(IMAGE, 50)
        large = SourceImage(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8))
        with pytest.raises(CodecError, match=r"^no working folder .* No space left"):
            hostile.codec("copy").encode(large, 50)
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
