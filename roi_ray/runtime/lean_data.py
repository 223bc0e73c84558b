"""Run Ray Data without its helper actors, on a Ray that this process has started for one job.

Ray Data starts three actors on each cluster: one collects statistics for a dashboard, one divides
a cluster between data sets and asks for nodes, and one knows which node each actor is on. A Ray
of one machine, one data set and no dashboard needs none of them. Each is a process that imports
Ray Data, which takes a second of CPU time, and a job waits for two of them before it starts.

Ray Data has no option for it, so that this module replaces functions of its internals;
`pyproject.toml` pins Ray's minor version.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4


class NobodyActor:
    """A handle of an actor that does not exist: calls of its methods are ignored."""

    def __getattr__(self, name: str) -> "NobodyActor":
        if name.startswith("__"):  # such as those by which pickle asks how to copy it
            raise AttributeError(name)
        return self

    def remote(self, *_: object, **__: object) -> None:
        """Ignore a call."""


class WholeMachine:
    """Coordinator of a cluster that has one user and never gets more nodes: all of it is reserved.

    Takes the place of Ray Data's `DefaultAutoscalingCoordinator`.
    """

    def __init__(self, **_: object) -> None:
        import ray

        self._resources = ray.cluster_resources()

    def request_resources(self, *_: object, **__: object) -> None:
        """Ignore a request for nodes."""

    def cancel_request(self) -> None:
        """Ignore the end of a request."""

    def get_reserved_resources(self) -> dict[str, dict[str, float]]:
        """Return all resources, by node."""
        return {"this machine": self._resources}


@contextmanager
def without_helper_actors() -> Iterator[None]:
    """Run data sets without helper actors as long as the context is open."""
    from ray.data._internal import stats
    from ray.data._internal.cluster_autoscaler import rate_based_cluster_autoscaler
    from ray.data._internal.execution.operators import actor_pool_map_operator

    nobody = NobodyActor()
    replacements: tuple[tuple[Any, str, object], ...] = (
        (stats, "get_or_create_stats_actor", lambda: nobody),
        (
            stats._StatsManager,
            "gen_dataset_id_from_stats_actor",
            staticmethod(lambda: uuid4().hex),
        ),
        (actor_pool_map_operator, "get_or_create_actor_location_tracker", lambda: nobody),
        # A running actor then counts as where it has reported to be at its start.
        (actor_pool_map_operator, "get_actor_locations", lambda _: {}),
        (rate_based_cluster_autoscaler, "DefaultAutoscalingCoordinator", WholeMachine),
    )
    with ExitStack() as stack:
        for owner, name, value in replacements:
            stack.callback(setattr, owner, name, vars(owner)[name])
            setattr(owner, name, value)
        yield
