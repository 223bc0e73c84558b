"""Ray Train's trainer, ended by signals as other commands are, and without what needs a dashboard.

It overrides internals of Ray, whose minor version `pyproject.toml` pins.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import ray
from ray._private.worker import get_dashboard_url
from ray.exceptions import GetTimeoutError, RayActorError
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import (
    PlacementGroupCleanerCallback,
)

if TYPE_CHECKING:
    from ray.actor import ActorHandle

_ABORT_SECONDS = 5.0


class Trainer(TorchTrainer):  # type: ignore[misc]  # ray has no annotations
    """A `TorchTrainer` whose run can be stopped. The arguments are the same."""

    _controller: "ActorHandle | None" = None

    def stop(self) -> None:
        """Stop the run: its workers end, and what they have reserved is free for others."""
        if self._controller is not None:
            with suppress(RayActorError, GetTimeoutError):  # it ends, and does not answer
                ray.get(self._controller.abort.remote(), timeout=_ABORT_SECONDS)

    def _register_sigint_handler(self, controller: "ActorHandle") -> None:
        """Take the controller; Ray's handler waits for its end, and then exits with 0 or 1."""
        self._controller = controller

    def _create_default_callbacks(self) -> list[Any]:
        """Leave out what asks the dashboard whether the run goes on.

        It is there for a cluster that survives this process. Without a dashboard, the end of each
        run would wait for the answer for 12 seconds.
        """
        callbacks = super()._create_default_callbacks()
        if get_dashboard_url():
            return list(callbacks)
        return [one for one in callbacks if not isinstance(one, PlacementGroupCleanerCallback)]
