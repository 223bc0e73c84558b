"""Run a service in the foreground: start it, wait for a signal, and end it without a loss."""

import io
import sys
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout

from roi_ray.errors import ClusterError
from roi_ray.runtime.logs import LOGGER
from roi_ray.service.lifecycle.checks import check_device, check_options
from roi_ray.service.options import DEFAULT_HOST, DEFAULT_PORT, ServiceOptions
from roi_ray.web.addresses import find_port, is_loopback, make_url

_MORE_SECONDS = 5.0
"""How long the service takes to send an answer that it has made within the time limit."""
_WATCH_SECONDS = 2.0


def serve(
    options: ServiceOptions,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    drain_seconds: float | None = None,
    announce: Callable[[str], None] = print,
) -> int:
    """Serve until SIGTERM or SIGINT; call it in the main thread.

    The first signal closes the door: new requests get the status 503, those in progress are
    finished. A second one ends the service at once.

    Args:
        options: how the service runs.
        host: address that the service listens at; in a cluster, on each node with a process of it.
        port: its port; 0 for any that is free.
        drain_seconds: longest time to finish the requests in progress; None for the time limit of
            a request and 5 s.
        announce: called with the service's URL when it is ready.

    Returns:
        requests that were cut off: 0 if every accepted request was answered.

    Raises:
        UsageError: an option, the host or the port cannot be used.
        WeightsError: weights or the preference model are missing, altered, or of another layout.
        DeviceError: the device is not available, or too slow in the precision.
        ClusterError: Ray cannot be reached or started, Serve runs already, the service does not
            start, or it has ended by itself.
    """
    if drain_seconds is None:
        drain_seconds = options.limits.timeout_seconds + _MORE_SECONDS
    check_options(options)
    port = find_port(host, port)
    if not is_loopback(host) and not options.api_keys:
        LOGGER.warning("%s is not only this machine, and no key is needed: see --api-keys", host)
    from roi_ray.runtime.cluster import connect

    with (
        _Output() as output,
        connect(worker_logs=False, survive_group_signals=True) as is_local,
    ):
        import ray

        from roi_ray.service.cluster.deployments import build_app
        from roi_ray.service.lifecycle import serve_control, serve_state, shutdown

        serve_control.check_no_serve()
        if is_local:
            check_device(options, int(ray.cluster_resources().get("GPU", 0)))
        with (
            shutdown.catch_signals() as signals,
            serve_control.Proxies(host, port, is_local=is_local) as proxies,
        ):
            try:
                url = make_url(host, port)
                handle = serve_control.deploy(build_app(options), signals, is_local=is_local)
                # From here on, requests may have been accepted: a signal closes the door.
                serve_control.wait_until_ready(url, is_local=is_local)
                announce(url)
                watch, problem = serve_state.Watch(), None
                while problem is None and not (signals.count or signals.wait(_WATCH_SECONDS)):
                    problem = watch.check()
                LOGGER.info("closing: waiting for the requests in progress")
                left = shutdown.drain(handle, drain_seconds, signals)
                proxies.ends_at_once = left > 0
                if problem is not None:
                    raise ClusterError(problem)
            finally:
                output.discard()
    return left


class _Output:
    """Keep what Ray prints of its processes' ends away from standard output."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> "_Output":
        self._stack.enter_context(redirect_stdout(sys.stderr))
        return self

    def discard(self) -> None:
        """Print no more of it: the processes end because they shall."""
        self._stack.enter_context(redirect_stdout(io.StringIO()))

    def __exit__(self, *_: object) -> None:
        self._stack.close()
