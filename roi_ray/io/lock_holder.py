"""The content of an output lock: which job holds it, and whether that job has ended."""

import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Holder:
    """The content of a lock file.

    Attributes:
        owner: unique name of the job.
        host: name of its machine.
        pid: id of its process.
        heartbeat: counter that grows while the job lives.
        machine: identity of the machine or container in which `pid` is valid; "" if unknown.
    """

    owner: str
    host: str
    pid: int
    heartbeat: int
    machine: str = ""

    def __str__(self) -> str:
        return f"a job on {self.host} (process {self.pid})"

    def encode(self) -> bytes:
        """Return the content of the file."""
        return (json.dumps(asdict(self)) + "\n").encode()

    def is_known_dead(self) -> bool:
        """Return whether the job ran on this machine and its process has ended."""
        if self.machine != _this_machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


def describe_this_job() -> Holder:
    """Describe a job of this process that has not sent a heartbeat yet."""
    return Holder(uuid.uuid4().hex, socket.gethostname(), os.getpid(), 0, _this_machine())


def parse_holder(data: bytes) -> Holder | None:
    """Parse the content of a lock file; return None if it is something else."""
    try:
        return Holder(**json.loads(data))
    except (TypeError, ValueError):
        return None


def _this_machine() -> str:
    """Return a name that two containers with the same host name do not share."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()
