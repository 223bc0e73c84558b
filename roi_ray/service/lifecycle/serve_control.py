"""Start and stop the service's application on Ray Serve, from the driver."""

import logging
import time
import urllib.error
from typing import TYPE_CHECKING

from roi_ray.errors import ClusterError
from roi_ray.runtime.logs import LOGGER, escape_line, last_line
from roi_ray.service.direct_http import open_directly
from roi_ray.service.lifecycle.serve_state import (
    ANSWER_SECONDS,
    APPLICATION,
    CONTROLLER,
    NAMESPACE,
    find_controller,
    read_state,
)
from roi_ray.service.lifecycle.shutdown import StopSignals

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

_POLL_SECONDS = 0.5
_PLACE_SECONDS = 120.0
"""How long a process may wait for a place on a machine that gets no more CPUs, GPUs or memory."""
_END_SECONDS = 5.0
"""How long Serve may take to note that it shall end."""


def check_no_serve() -> None:
    """Check that no Ray Serve runs in the cluster: its address and its end belong to others.

    Raises:
        ClusterError: one does.
    """
    import ray

    for actor in ray.util.list_named_actors(all_namespaces=True):
        if (actor["namespace"], actor["name"]) == (NAMESPACE, CONTROLLER):
            raise ClusterError(
                "Ray Serve runs in this cluster already, perhaps another roi-ray serve; stop it "
                "by `serve shutdown`, or add this service to it by `serve deploy`: see "
                "roi_ray/service/README.md"
            )


class Proxies:
    """Ray Serve and its HTTP servers, shut down with all applications at the end of the context.

    Args:
        host: address that the servers listen at.
        port: their port.
        is_local: whether Ray has one node; in a cluster, each node with replicas gets a server.

    Attributes:
        ends_at_once: set it to end without a wait for requests that are still in progress.

    Raises:
        ClusterError: a server does not start.
    """

    def __init__(self, host: str, port: int, *, is_local: bool) -> None:
        self._address = {"host": host, "port": port}
        self._is_local = is_local
        self.ends_at_once = False

    def __enter__(self) -> "Proxies":
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        import ray
        from ray import serve

        location = "HeadOnly" if self._is_local else "EveryNode"
        try:
            serve.start(proxy_location=location, http_options=self._address)
        except BaseException as error:
            self.__exit__(type(error))
            if isinstance(error, ray.exceptions.RayError | RuntimeError | TimeoutError):
                raise ClusterError(f"Ray Serve does not start: {last_line(str(error))}") from error
            raise  # a signal
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # A local Ray ends with this process. It may be broken, and would be asked in vain.
        self.ends_at_once = self.ends_at_once or (kind is not None and self._is_local)
        self._shut_down()

    def _shut_down(self) -> None:
        import ray
        from ray import serve

        try:
            if not self.ends_at_once:
                serve.delete(APPLICATION)
                serve.shutdown()
            elif not self._is_local:
                answer = find_controller().graceful_shutdown.remote(False)
                ray.get(answer, timeout=_END_SECONDS)
        except Exception as error:  # whatever it is: nothing more can be done
            LOGGER.warning("Ray Serve did not shut down properly: %s", last_line(str(error)))


def deploy(
    application: "Application", signals: StopSignals, *, is_local: bool
) -> "DeploymentHandle":
    """Deploy the application, and wait until all its processes run.

    Args:
        application: what `deployments.build_app` returns.
        signals: a signal ends the wait, unless all processes run by then.
        is_local: whether the machine is all there is, and no process may wait for another one.

    Raises:
        ClusterError: a process does not start; the message says why.
        SystemExit: a signal came; the code is 128 and its number.
    """
    import ray
    from ray.serve.api import RunTarget, run_many

    target = RunTarget(application, name=APPLICATION, route_prefix="/")
    try:
        (handle,) = run_many([target], wait_for_applications_running=False)
    except (ray.exceptions.RayError, RuntimeError, TimeoutError) as error:
        raise ClusterError(f"the service does not start: {last_line(str(error))}") from error
    begun, logged = time.monotonic(), ""
    while (state := read_state()).status != "RUNNING":
        if signals.count:
            if state.has_all:  # it may have accepted requests
                break
            raise SystemExit(128 + signals.number)
        waited = time.monotonic() - begun
        if state.status not in ("DEPLOYING", "NOT_STARTED"):
            raise ClusterError(f"the service does not start: {last_line(state.problem)}")
        if is_local and "to be scheduled" in state.problem and waited > _PLACE_SECONDS:
            raise ClusterError(
                "the service does not start: the machine has too few CPUs, GPUs or memory for its "
                "processes; use fewer --replicas"
            )
        if state.problem != logged:
            logged = state.problem
            LOGGER.info("waiting: %s", last_line(logged))
        signals.wait(_POLL_SECONDS)
    return handle


def wait_until_ready(url: str, *, is_local: bool) -> None:
    """Wait until the service answers that it is ready.

    Args:
        url: the service's URL.
        is_local: whether a server listens on this machine; else an address where nothing listens
            is not waited for.

    Raises:
        ClusterError: it does not become ready.
    """
    end, problem = time.monotonic() + _PLACE_SECONDS, ""
    while time.monotonic() < end:
        try:
            with open_directly(f"{url}/v1/ready", ANSWER_SECONDS):
                return
        except urllib.error.HTTPError as error:
            problem = f"{error.code} {error.read(1000).decode(errors='replace')}"
        except OSError as error:
            if not is_local:
                return
            problem = str(error)
        time.sleep(_POLL_SECONDS)
    raise ClusterError(f"the service does not become ready: {escape_line(problem)}")
