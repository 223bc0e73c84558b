"""The processor, and other work on the machine."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from roi_ray.sweep import measure
from roi_ray.sweep.measure import LoadMeter, find_processor

on_linux = pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="needs Linux")


def work(seconds: float) -> None:
    """Use this much CPU time in this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))


@on_linux
def test_busy_neighbour_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        meter = LoadMeter()
        began = meter.start()
        work(0.5)
        load = meter.stop(began)
        neighbour.kill()
    # Other processes may take CPUs from both.
    assert load is not None
    assert 0.3 < load <= os.cpu_count()


@on_linux
def test_short_work_is_measured_over_a_longer_window() -> None:
    meter = LoadMeter()
    began = meter.start()
    work(0.001)
    assert meter.stop(began) is None
    work(2 * measure.MIN_WINDOW)
    began = meter.start()
    work(0.001)
    assert meter.stop(began) is not None
    meter.forget()
    began = meter.start()
    assert meter.stop(began) is None


class Machine:
    """A /proc/stat with counters of our own, in ticks, and clocks that go with them."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.file = folder / "stat"
        self.user, self.idle, self.now, self.own = 1000, 5000, 100.0, 3.0
        self.per_second = os.sysconf("SC_CLK_TCK")
        monkeypatch.setattr(measure, "_STAT", self.file)
        # Not `time` itself: a server in another thread would wait for hours.
        clocks = SimpleNamespace(monotonic=lambda: self.now, thread_time=lambda: self.own)
        monkeypatch.setattr(measure, "time", clocks)
        self.write()

    def pass_time(self, seconds: float, busy: float, own: float, cpus: int = 4) -> None:
        self.now += seconds
        self.own += own * seconds
        self.user += round(busy * seconds * self.per_second)
        self.idle += round((cpus - busy) * seconds * self.per_second)
        self.write()

    def write(self) -> None:
        guest = 77
        self.file.write_text(f"cpu  {self.user} 0 0 {self.idle} 0 0 0 0 {guest} 0\ncpu0 1 2 3\n")


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("busy", "own", "expected"), [(1.0, 1.0, 0), (2.5, 1.0, 1.5), (4.0, 0.25, 3.75), (0.9, 1.0, 0)]
)
def test_load_is_what_others_use(machine, busy, own, expected) -> None:
    meter = LoadMeter()
    began = meter.start()
    machine.pass_time(2, busy, own)
    assert meter.stop(began) == expected


def test_time_of_child_processes_is_own_work(machine) -> None:
    meter = LoadMeter()
    began = meter.start()
    machine.pass_time(2, busy=3, own=0)
    meter.add_own_seconds(5)
    assert meter.stop(began) == 0.5


def test_window_reaches_back_but_not_far(machine) -> None:
    meter = LoadMeter()
    meter.start()
    machine.pass_time(3, busy=2, own=1)
    began = meter.start()
    machine.pass_time(0.05, busy=4, own=1)
    # 3 s with one other core, and 0.05 s with three.
    assert meter.stop(began) == pytest.approx((3 * 1 + 0.05 * 3) / 3.05, abs=0.01)
    machine.pass_time(60, busy=4, own=0)
    began = meter.start()
    machine.pass_time(0.05, busy=1, own=1)
    assert meter.stop(began) is None
    machine.pass_time(0.2, busy=1, own=1)
    assert meter.stop(began) == 0


@pytest.mark.parametrize("text", ["", "cpu0 1 2 3\n", "cpu  0 0 0 0 0 0 0 0 0 0\n"])
def test_system_that_does_not_tell(machine, text) -> None:
    meter = LoadMeter()
    machine.file.write_text(text)
    began = meter.start()
    machine.now += 5
    assert meter.stop(began) is None
    machine.file.unlink()
    assert meter.stop(meter.start()) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor : 0\nmodel name\t: Intel(R) Xeon(R)\nprocessor : 1\n", "Intel(R) Xeon(R)"),
        ("model name : ARMv7 rev 4\nModel : Raspberry Pi 4\n", "ARMv7 rev 4"),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", "implementer 0x41 part 0xd0c"),
        ("", None),
    ],
)
def test_name_of_the_processor(tmp_path, monkeypatch, text, name) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(measure, "_CPUINFO", tmp_path / "cpuinfo")
    found = find_processor.__wrapped__()
    assert found and (name is None or found.endswith(name))
