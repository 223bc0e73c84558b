"""What an engine is given: the job, and the two stages that it runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from roi_ray.io.allowlist import build_allowlist
from roi_ray.models.networks import Provenance
from roi_ray.pipeline.decode_stage import decode_work_items
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.settings import Settings


@dataclass(frozen=True)
class Stages:
    """The two stages, as `map_batches` of Ray Data takes them.

    Attributes:
        decode: work items -> chunks.
        actor: constructed once per process; chunks -> results.
    """

    decode: Callable[..., Iterator[pa.Table]] = decode_work_items
    actor: Callable[..., Callable[[pa.Table], pa.Table]] = ScoringActor


@dataclass(frozen=True)
class Job:
    """A job, as every engine runs it.

    Attributes:
        base: URI of the folder that relative URIs are relative to.
        settings: settings that decide the numbers.
        options: options of the job.
        weights: the weights that the job has recorded.
        stages: the two stages.
    """

    base: str
    settings: Settings
    options: Options
    weights: Provenance
    stages: Stages = field(default_factory=Stages)

    def decode_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the decode stage."""
        return {
            "base": self.base,
            "allowlist": build_allowlist(self.base, self.options.allow_prefixes),
            "max_pixels": self.options.max_pixels,
        }

    def actor_arguments(self, device: str, threads: int | None) -> dict[str, Any]:
        """Return the keyword arguments of the scoring actor.

        Args:
            device: see `ScoringActor`.
            threads: see `ScoringActor`.
        """
        return {
            "settings": self.settings,
            "device": device,
            "batch": self.options.batch,
            "weights_dir": self.options.weights_dir,
            "threads": threads,
            "weights": self.weights,
            "allow_slow_precision": self.options.allow_slow_precision,
        }
