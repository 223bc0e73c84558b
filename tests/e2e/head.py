"""A head node, as `ray start` starts it, to which tests submit jobs."""

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
from pathlib import Path

from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
PROJECT = "pyproject.toml roi_ray jobs cluster.yaml README.md LICENSE CHANGELOG.md .gitignore"
BIN = Path(sys.executable).parent


@dataclass
class Head:
    """A running head node.

    Attributes:
        checkout: a copy of the project, from which jobs are submitted.
        environment: variables with which Ray's command line reaches the node.
        url: where its dashboard listens.
    """

    checkout: Path
    environment: dict[str, str]
    url: str

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of Ray's, `ray` or `serve`."""
        return subprocess.run(
            [str(BIN / program), *arguments],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def ray(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("ray", *arguments)

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
    # A job that is stopped has time to commit what it has, also on a busy machine; Ray's 3 s are
    # for one that has not.
    environment = {**inherited, "RAY_JOB_STOP_WAIT_TIME_S": "60", **settings}
    command = f"start --head --block --num-cpus=2 --port={port} --ray-client-server-port={clients}"
    command += f" --dashboard-port={dashboard} --dashboard-agent-listen-port={agent}"
    command += f" --object-store-memory={500 * 2**20}"
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            [str(BIN / "ray"), *command.split()], env=environment, stdout=log, stderr=log
        )
    url = environment["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{dashboard}"
    head = Head(checkout, environment, url)
    try:
        deadline = time.monotonic() + 300
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
