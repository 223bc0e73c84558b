"""Start a local Ray: few processes, a second try after a timeout, and errors that say what to do.

Ray offers no public way to start with fewer processes or with more time, or to stop what a failed
start has left behind, so that this module uses Ray's internals, and `pyproject.toml` pins Ray's
minor version.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from roi_ray.errors import ClusterError
from roi_ray.runtime.logs import LOGGER

if TYPE_CHECKING:
    from ray._private.node import Node

_SECOND_TRY_SECONDS = 120
"""How long the second try may take; Ray's own limit, for the first one, is 30 s."""
_MAX_SOCKET_PATH = 103
"""Bytes of a Unix socket's path that every system takes: 103 on macOS, 107 on Linux."""
_GCS_SETTING = "RAY_gcs_server_port_wait_time_s"
_SYSTEM_CONFIG = {"idle_worker_killing_time_threshold_ms": 10 * 60 * 1000}
"""Ray ends a process that has been idle for a second if there are as many others as CPUs. Decode
tasks come seconds apart, and starting a process takes ten times as long as decoding an image."""
_NEEDED_BYTES = 10 << 20
"""A Ray whose folder has less space than this cannot be expected to start."""


@contextmanager
def short_folder() -> Iterator[str | None]:
    """Give Ray's folder a short name if its path is too long for Ray's sockets.

    The short name is a symbolic link, so that logs and spilled objects stay on the disk that the
    user has chosen. It lies in a new folder that nobody else can write to, and is removed with it.

    Yields:
        value of `ray.init(_temp_dir=)`; None if the default is short enough.

    Raises:
        OSError: a folder cannot be made.
    """
    from ray._common.utils import get_default_ray_temp_dir

    folder = os.path.abspath(get_default_ray_temp_dir())
    socket = f"{folder}/session_2026-01-01_00-00-00_000000_{os.getpid()}/sockets/plasma_store"
    if len(os.fsencode(socket)) <= _MAX_SOCKET_PATH:
        yield None
        return
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="roi-ray-", dir="/tmp") as parent:
        link = os.path.join(parent, "ray")
        os.symlink(folder, link)
        yield link


@contextmanager
def separate_process_groups() -> Iterator[None]:
    """Let each process that Ray starts on this machine be the first of a process group of its own.

    A signal to this process's group, as `timeout` and shells send it, then reaches this process
    alone, which ends its Ray when it has finished. Ray's processes still end with this one.
    """
    from ray._private import services

    popen = services.ConsolePopen

    def start_in_own_group(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        return popen(*args, **options, process_group=0)

    services.ConsolePopen = start_in_own_group
    try:
        yield
    finally:
        services.ConsolePopen = popen


@contextmanager
def _few_processes() -> Iterator[None]:
    """Leave out Ray's processes that serve a dashboard and ask for more nodes.

    They take two seconds of CPU time, and `ray.shutdown` waits for one after the other to end.
    """
    from ray._private import services
    from ray._private.node import Node

    start_monitor, start_api_server = Node.start_monitor, services.start_api_server

    def start_no_monitor(_: "Node") -> None:
        pass

    def start_no_api_server(*_: Any, **__: Any) -> tuple[None, None]:  # noqa: ANN401
        return None, None

    Node.start_monitor, services.start_api_server = start_no_monitor, start_no_api_server
    try:
        yield
    finally:
        Node.start_monitor, services.start_api_server = start_monitor, start_api_server


def start_ray(options: dict[str, Any]) -> None:
    """Start a local Ray without a dashboard, and connect to it.

    A start that was too slow is tried once more with more time: the first one has brought Ray's
    files into memory.

    Args:
        options: arguments of `ray.init`.

    Raises:
        ClusterError: Ray cannot be started. None of its processes is left.
    """
    reason, is_slow = _try_to_start(options)
    if reason is not None and is_slow:
        LOGGER.warning(
            "Ray did not start in time; trying once more, for up to %d s", _SECOND_TRY_SECONDS
        )
        with more_time():
            reason, _ = _try_to_start(options)
    if reason is not None:
        raise ClusterError(f"cannot start a local Ray: {reason}")


def _try_to_start(options: dict[str, Any]) -> tuple[str | None, bool]:
    """Start Ray. Returns what went wrong, None if nothing did, and whether it was too slow."""
    import ray

    try:
        with _few_processes():
            ray.init(include_dashboard=False, _system_config=_SYSTEM_CONFIG, **options)
    except Exception as error:  # Ray raises a plain Exception if it starts too slowly
        node = _find_node(error)
        is_slow = node is not None and bool(node.live_processes()) and not node.dead_processes()
        reason = _explain(error, node)
        if node is not None:
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
        ray.shutdown()
        return reason, is_slow
    return None, False


def _find_node(error: Exception) -> "Node | None":
    """Find the node that was starting, which knows the processes that it has started.

    Ray stores the node only when it has started, so that `ray.shutdown` would not stop it.
    """
    from ray._private import worker
    from ray._private.node import Node

    traceback = error.__traceback__
    while traceback is not None:
        owner = traceback.tb_frame.f_locals.get("self")
        if isinstance(owner, Node):
            return owner
        traceback = traceback.tb_next
    return worker._global_node


@contextmanager
def more_time() -> Iterator[None]:
    """Let Ray wait longer for its processes: for the GCS by a setting, which Ray reads anew.

    The limit for the other processes is a number in the code of `ray._private.node.Node`. It is
    compared after a question to the GCS, which is asked again and again here.
    """
    from ray._private import services

    ask_once = services.get_node

    def ask_again(gcs_address: str, node_id: str) -> dict[str, Any]:
        end = time.monotonic() + _SECOND_TRY_SECONDS
        while True:
            try:
                return dict(ask_once(gcs_address, node_id))
            except RuntimeError:  # the node has not reported yet
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    before = os.environ.get(_GCS_SETTING)
    os.environ[_GCS_SETTING] = str(_SECOND_TRY_SECONDS)
    services.get_node = ask_again
    try:
        yield
    finally:
        services.get_node = ask_once
        del os.environ[_GCS_SETTING]
        if before is not None:
            os.environ[_GCS_SETTING] = before


def _explain(error: Exception, node: "Node | None") -> str:
    """Say in one line why Ray did not start, and what to do."""
    from ray._common.utils import get_default_system_temp_dir

    root = get_default_system_temp_dir()
    if os.path.isdir(root) and shutil.disk_usage(root).free < _NEEDED_BYTES:
        return f"no space is left in {root}; free some, or set RAY_TMPDIR to another folder"
    if isinstance(error, OSError) and error.filename:
        return explain_os_error(error)
    port = re.search(r"specified port is (\d+)", str(error))
    if port:
        return f"port {port[1]} is in use; unset RAY_GCS_SERVER_PORT, or choose another one"
    reason = str(error).strip().partition("\n")[0]
    if node is None:
        return reason
    dead = [name for name, _ in node.dead_processes()]
    if dead:
        reason = f"its process {dead[0]} has ended"
    elif "timed out" in reason.lower():
        reason = (
            "it did not answer in time; this machine may be too busy or short of memory: stop "
            "other programs and try again"
        )
    # The short name of the folder is removed.
    return f"{reason} (logs: {os.path.realpath(node.get_logs_dir_path())})"


def explain_os_error(error: OSError) -> str:
    """Say in one line what to do about a file that Ray cannot write."""
    path = str(error.filename)
    problem = f"cannot write {path} ({error.strerror})"
    if os.path.expanduser("~/.ray/auth_token").startswith(path):
        return f"{problem}; set HOME to a folder that can be written, or RAY_AUTH_MODE=disabled"
    return f"{problem}; set RAY_TMPDIR to a folder that can be written"
