import functools
import importlib.util
import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest

from roi_ray.runtime.compiled import can_compile, exact_kernel, kernel, run_in_threads


def test_kernel_without_a_place_for_its_cache_is_compiled() -> None:
    names: dict = {}
    exec("def double(values):\n    values *= 2", names)  # without a file, there is no folder
    values = np.arange(3.0)
    kernel(names["double"])(values)
    assert values.tolist() == [0, 2, 4]


@exact_kernel
def add_in_order(values):
    total = np.float32(0)
    for value in values:
        total += value
    return total


def test_exact_kernel_keeps_the_order_of_its_roundings() -> None:
    values = np.array([1e8, *[1] * 99, -1e8], dtype=np.float32)
    assert add_in_order(values) == 0


ERRORS_OF_COLOUR = """
import torch
from roi_ray.metrics import mse_ycbcr

x, y = torch.randint(256, (2, 3, 60, 600), dtype=torch.uint8, generator=torch.manual_seed(0))
print(mse_ycbcr(x, y).tolist())
"""


@pytest.mark.long
def test_processes_that_compile_at_once_compute_what_one_that_loads_does(tmp_path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", ERRORS_OF_COLOUR]
    start = functools.partial(subprocess.Popen, command, env=environment, stdout=subprocess.PIPE)
    compiling = [start(), start()]
    numbers = [process.communicate(timeout=300)[0] for process in compiling]
    assert list(tmp_path.glob("cache/*/*.nbc"))
    loading = start()
    numbers.append(loading.communicate(timeout=300)[0])
    assert [process.returncode for process in (*compiling, loading)] == [0, 0, 0]
    assert len(set(numbers)) == 1


def test_numba_that_is_missing_is_no_error(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert can_compile.__wrapped__() is False


def test_numba_that_cannot_compile_is_no_error(monkeypatch, caplog) -> None:
    def fail(*_, **__):
        raise OSError("no memory for code")

    monkeypatch.setattr("numba.njit", fail)
    assert can_compile.__wrapped__() is False
    assert "numba cannot compile: no memory for code" in caplog.text


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_threads_run_each_task_once(count) -> None:
    done: list[int] = []
    run_in_threads(done.append, count)
    assert sorted(done) == list(range(count))


def test_error_of_a_task_is_raised() -> None:
    def fail(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"\d"):
        run_in_threads(fail, 10)


def run_in_child() -> None:
    run_in_threads(lambda number: None, 10)


AFTER_THE_MAIN_THREAD = """
import threading
from roi_ray.runtime.compiled import run_in_threads
import torch

def work():
    threading.main_thread().join()
    done = []
    run_in_threads(done.append, 10)
    print(sorted(done) == list(range(10)))

torch.set_num_threads(4)
run_in_threads(abs, 10)
threading.Thread(target=work).start()
"""


def test_thread_that_outlives_the_main_thread_works_alone() -> None:
    run = [sys.executable, "-c", AFTER_THE_MAIN_THREAD]
    result = subprocess.run(run, capture_output=True, text=True, timeout=600, check=False)
    assert (result.stdout, result.stderr) == ("True\n", "")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_threads_work_in_a_forked_process() -> None:
    run_in_threads(lambda number: None, 10)
    child = multiprocessing.get_context("fork").Process(target=run_in_child)
    child.start()
    child.join(60)
    assert child.exitcode == 0
