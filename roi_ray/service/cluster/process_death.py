"""Recognise that a process of the service died, which is nobody's request's fault, or a file's."""

from functools import cache

from roi_ray.errors import WorkerDied
from roi_ray.schema import Failure


@cache
def death_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that Ray raises where the process that should answer is not there."""
    from ray import exceptions
    from ray.serve.exceptions import DeploymentUnavailableError, ReplicaUnavailableError

    return (
        exceptions.RayActorError,
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.OutOfMemoryError,
        exceptions.ObjectLostError,
        ReplicaUnavailableError,
        DeploymentUnavailableError,
    )


def make_failure(text: str) -> Failure:
    """Return the failure of what a process that died was working on."""
    return Failure(WorkerDied.__name__, text)
