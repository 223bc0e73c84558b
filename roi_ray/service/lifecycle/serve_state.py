"""The state of the service's application on Ray Serve, and a watch on it.

Ray Serve's public `status` waits without a limit, so that this module asks Serve's controller
itself; `pyproject.toml` pins Ray's minor version.
"""

import time
from dataclasses import dataclass
from typing import Any

from roi_ray.errors import ClusterError
from roi_ray.runtime.logs import LOGGER, last_line

APPLICATION = "roi-ray"
"""Name of the application among those of Ray Serve."""
CONTROLLER, NAMESPACE = "SERVE_CONTROLLER_ACTOR", "serve"
"""Name of Serve's controller, an actor, and its namespace."""
ANSWER_SECONDS = 20.0
"""How long Serve may take to answer."""

_PATIENCE_SECONDS = 300.0
"""How long a deployment may be without any process, or Serve silent, before the service ends."""


@dataclass(frozen=True)
class State:
    """State of the application.

    Attributes:
        status: `NOT_STARTED`, `DEPLOYING`, `RUNNING`, `UNHEALTHY`, `DEPLOY_FAILED`, `DELETING`, or
            `GONE` if Serve does not know the application; `UNKNOWN` if Serve does not answer, as
            while its controller is started again: requests are answered nevertheless.
        problem: what Serve says about it; empty if there is nothing to say.
        has_all: whether each deployment has a process that runs.
    """

    status: str
    problem: str
    has_all: bool


class Watch:
    """Look whether the service still runs, now and then."""

    def __init__(self) -> None:
        self._complete = time.monotonic()
        self._is_warned = False

    def check(self) -> str | None:
        """Look once.

        Returns:
            why the service must end: for minutes it has been without a process that it needs, or
            Serve has not answered. It still works on requests, perhaps. None if it can go on.

        Raises:
            ClusterError: something else has ended the service.
        """
        now = time.monotonic()
        state = read_state()
        if state.status in ("GONE", "NOT_STARTED", "DELETING"):
            raise ClusterError("the service has ended: something else deleted it from Ray Serve")
        if state.has_all:
            self._complete, self._is_warned = now, False
            return None
        if not self._is_warned:
            LOGGER.warning("the service is not complete: %s", last_line(state.problem))
            self._is_warned = True
        if now - self._complete > _PATIENCE_SECONDS:
            return (
                f"the service has been incomplete for {_PATIENCE_SECONDS:.0f} s: "
                f"{last_line(state.problem)}"
            )
        return None


def read_state() -> State:
    """Ask Serve for the state of the application.

    Raises:
        ClusterError: something else has shut Ray Serve down.
    """
    import ray

    try:
        answer = find_controller().get_serve_instance_details.remote()
        details: dict[str, Any] = ray.get(answer, timeout=ANSWER_SECONDS)
    except ValueError as error:  # Ray knows no such actor
        raise ClusterError("the service has ended: something else shut Ray Serve down") from error
    except (ray.exceptions.RayError, TimeoutError) as error:
        problem = f"Ray Serve does not answer: {last_line(str(error))}"
        return State("UNKNOWN", problem, has_all=False)
    application = details["applications"].get(APPLICATION)
    if application is None:
        return State("GONE", "", has_all=False)
    deployments = application["deployments"].values()
    # The application's only names the deployment that has a problem.
    problems = [*(each["message"] for each in deployments), application["message"]]
    return State(
        status=_text(application["status"]),
        problem=next((problem for problem in problems if problem), ""),
        has_all=all(
            any(_text(replica["state"]) == "RUNNING" for replica in each["replicas"])
            for each in deployments
        ),
    )


def find_controller() -> Any:  # noqa: ANN401
    """Return the actor that controls Serve.

    Raises:
        ValueError: Ray Serve does not run.
    """
    import ray

    return ray.get_actor(CONTROLLER, namespace=NAMESPACE)


def _text(value: object) -> str:
    """Return the name of a state, which Serve gives as a string or as an enumeration."""
    return str(getattr(value, "value", value))
