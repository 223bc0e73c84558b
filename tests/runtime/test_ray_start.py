import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
import ray
import typer
from roi_ray.cli.exits import exit_with_message
from roi_ray.runtime.cluster import connect

@exit_with_message
def main():
    with connect(cpus=1):
        folder = ray._private.worker._global_node.temp_dir
        processes = ray.get(ray.remote(list_processes).remote(os.getpid()))
        heads = sum("/gcs_server " in process for process in processes)
        needless = [p for p in processes if "/autoscaler/" in p or "/dashboard.py" in p]
        print(folder, os.path.realpath(folder), heads, len(needless))
    print(os.path.lexists(os.path.dirname(folder)))

def list_processes(parent):
    import psutil
    return [" ".join(child.cmdline()) for child in psutil.Process(parent).children()]

typer.run(main)
"""


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("RAY_TMPDIR", "RAY_ADDRESS")}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_slow_start_is_tried_again_and_a_long_folder_gets_a_short_name(tmp_path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    # Ray's setting of how long it waits for its first process makes it give up at once.
    ended = run(TMPDIR=str(long), RAY_gcs_server_port_wait_time_s="0")
    assert ended.returncode == 0, ended.stderr
    assert "Ray did not start in time; trying once more" in ended.stderr
    folder, target, heads, needless, remains = ended.stdout.split()
    assert len(folder) < 30
    assert target == os.path.realpath(long / "ray")
    assert heads == "1"  # the first try's processes have ended
    assert needless == "0"  # a job asks for no nodes and shows no dashboard
    assert remains == "False"
    assert list(long.glob("ray/session_2*/logs/raylet.out"))


def test_folder_that_cannot_be_written_ends_in_one_line() -> None:
    ended = run(RAY_TMPDIR="/proc/none")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == (
        "error: cannot start a local Ray: cannot write /proc/none (No such file or directory); "
        "set RAY_TMPDIR to a folder that can be written"
    )
