"""Start, watch and stop the service's application on Ray Serve, from the driver.

Ray Serve's public `status` waits without a limit, so that this module asks Serve's controller
itself; `pyproject.toml` pins Ray's minor version.
"""

import logging
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roi_ray.errors import ClusterError
from roi_ray.runtime.logs import LOGGER, escape_line

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

APPLICATION = "roi-ray"
"""Name of the application among those of Ray Serve."""

_CONTROLLER, _NAMESPACE = "SERVE_CONTROLLER_ACTOR", "serve"
_ANSWER_SECONDS = 20.0
_POLL_SECONDS = 0.5
_PLACE_SECONDS = 120.0
"""How long a process may wait for a place on a machine that gets no more CPUs, GPUs or memory."""
_PATIENCE_SECONDS = 300.0
"""How long a deployment may be without any process before the service is given up."""


@dataclass(frozen=True)
class State:
    """State of the application.

    Attributes:
        status: `NOT_STARTED`, `DEPLOYING`, `RUNNING`, `UNHEALTHY`, `DEPLOY_FAILED`, `DELETING`, or
            `GONE` if Serve does not know the application.
        problem: what Serve says about it; empty if there is nothing to say.
        has_all: whether each deployment has a process that runs.
    """

    status: str
    problem: str
    has_all: bool


def check_no_serve() -> None:
    """Check that no Ray Serve runs in the cluster: its address and its end belong to others.

    Raises:
        ClusterError: one does.
    """
    import ray

    for actor in ray.util.list_named_actors(all_namespaces=True):
        if (actor["namespace"], actor["name"]) == (_NAMESPACE, _CONTROLLER):
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
        is_hurried: set it to end without a wait for requests that are still in progress.

    Raises:
        ClusterError: a server does not start.
    """

    def __init__(self, host: str, port: int, *, is_local: bool) -> None:
        self._address = {"host": host, "port": port}
        self._is_local = is_local
        self.is_hurried = False

    def __enter__(self) -> "Proxies":
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        import ray
        from ray import serve

        location = "HeadOnly" if self._is_local else "EveryNode"
        try:
            serve.start(proxy_location=location, http_options=self._address)
        except (ray.exceptions.RayError, RuntimeError, TimeoutError) as error:
            self._shut_down()
            raise ClusterError(f"Ray Serve does not start: {last_line(str(error))}") from error
        except BaseException:  # a signal
            self._shut_down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._shut_down()

    def _shut_down(self) -> None:
        from ray import serve

        if not self.is_hurried:
            serve.delete(APPLICATION)
            serve.shutdown()
        elif not self._is_local:  # a local Ray ends with this process
            with suppress(Exception):
                _find_controller().graceful_shutdown.remote(False)


def deploy(application: "Application", *, is_local: bool) -> "DeploymentHandle":
    """Deploy the application, and wait until all its processes run.

    Args:
        application: what `deployments.build_app` returns.
        is_local: whether the machine is all there is, and no process may wait for another one.

    Raises:
        ClusterError: a process does not start; the message says why.
    """
    from ray.serve.api import RunTarget, run_many

    target = RunTarget(application, name=APPLICATION, route_prefix="/")
    (handle,) = run_many([target], wait_for_applications_running=False)
    begun, logged = time.monotonic(), ""
    while (state := read_state()).status != "RUNNING":
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
        time.sleep(_POLL_SECONDS)
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
            with urllib.request.urlopen(f"{url}/v1/ready", timeout=_ANSWER_SECONDS):
                return
        except urllib.error.HTTPError as error:
            problem = f"{error.code} {error.read(1000).decode(errors='replace')}"
        except OSError as error:
            if not is_local:
                return
            problem = str(error)
        time.sleep(_POLL_SECONDS)
    raise ClusterError(f"the service does not become ready: {escape_line(problem)}")


class Watch:
    """Look whether the service still runs, now and then."""

    def __init__(self) -> None:
        self._complete = time.monotonic()
        self._is_warned = False

    def check(self) -> None:
        """Look once.

        Raises:
            ClusterError: the service was deleted, or has been without a process it needs for
                minutes, or the cluster does not answer any more.
        """
        now = time.monotonic()
        state = read_state()
        if state.status in ("GONE", "NOT_STARTED", "DELETING"):
            raise ClusterError("the service has ended: something else deleted it from Ray Serve")
        if state.has_all:
            self._complete, self._is_warned = now, False
            return
        if not self._is_warned:
            LOGGER.warning("the service is not complete: %s", last_line(state.problem))
            self._is_warned = True
        if now - self._complete > _PATIENCE_SECONDS:
            raise ClusterError(
                f"the service has been incomplete for {_PATIENCE_SECONDS:.0f} s: "
                f"{last_line(state.problem)}"
            )


def read_state() -> State:
    """Ask Serve for the state of the application.

    Raises:
        ClusterError: Serve does not answer.
    """
    import ray

    try:
        answer = _find_controller().get_serve_instance_details.remote()
        details: dict[str, Any] = ray.get(answer, timeout=_ANSWER_SECONDS)
    except ValueError as error:  # Ray knows no such actor
        raise ClusterError("the service has ended: something else shut Ray Serve down") from error
    except (ray.exceptions.RayError, TimeoutError) as error:
        raise ClusterError(f"Ray Serve does not answer: {last_line(str(error))}") from error
    application = details["applications"].get(APPLICATION)
    if application is None:
        return State("GONE", "", has_all=False)
    deployments = application["deployments"].values()
    problems = [application["message"], *(each["message"] for each in deployments)]
    return State(
        status=_text(application["status"]),
        problem=next((problem for problem in problems if problem), ""),
        has_all=all(
            any(_text(replica["state"]) == "RUNNING" for replica in each["replicas"])
            for each in deployments
        ),
    )


def last_line(text: str) -> str:
    r"""Return the last line of a message: of a traceback it is the one that says what is wrong.

    Examples:
        >>> last_line("Traceback ...\n  File x.py\nroi_ray.errors.WeightsError: altered\n")
        'WeightsError: altered'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return escape_line(lines[-1].removeprefix("roi_ray.errors.")) if lines else "no reason is known"


def _find_controller() -> Any:  # noqa: ANN401
    """Return Serve's controller; ValueError if there is none."""
    import ray

    return ray.get_actor(_CONTROLLER, namespace=_NAMESPACE)


def _text(value: object) -> str:
    """Return the name of a state, which Serve gives as a string or as an enumeration."""
    return str(getattr(value, "value", value))
