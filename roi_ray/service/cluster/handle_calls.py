"""Call deployments of Ray Serve."""

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle


async def call(handle: "DeploymentHandle", method: str, *arguments: object) -> Any:  # noqa: ANN401
    """Call a method of a deployment; if this is cancelled, the call is too.

    Raises:
        Exception: what the method raised, or one of `death_errors` if its process died.
    """
    response = getattr(handle, method).remote(*arguments)
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
