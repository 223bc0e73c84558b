"""What an engine is given: the job, and the two stages that it runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from roi_ray.io.allowlist import Allowlist, build_allowlist
from roi_ray.models.networks import Provenance
from roi_ray.pipeline.decode_stage import DecodeLimits, decode_work_items
from roi_ray.pipeline.memory_plan import MemoryPlan
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.score_stage import ScoringActor
from roi_ray.runtime.fit import Demand
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
        memory: what the job's images are expected to need.
        stages: the two stages.
    """

    base: str
    settings: Settings
    options: Options
    weights: Provenance
    memory: MemoryPlan
    stages: Stages = field(default_factory=Stages)

    @property
    def allowlist(self) -> Allowlist:
        """Folders that images may be in."""
        return build_allowlist(self.base, self.options.allow_prefixes)

    def decode_arguments(self, demand: Demand | None) -> dict[str, Any]:
        """Return the keyword arguments of the decode stage.

        Args:
            demand: what is planned for the images; None if nothing is.
        """
        limits = DecodeLimits(self.options.max_pixels)
        if demand is not None:
            limits = replace(limits, planned_pixels=demand.pixels, chunk_bytes=demand.chunk_bytes)
        return {"base": self.base, "allowlist": self.allowlist, "limits": limits}

    def actor_arguments(
        self, device: str, threads: int | None, demand: Demand | None
    ) -> dict[str, Any]:
        """Return the keyword arguments of the scoring actor.

        Args:
            device: see `ScoringActor`.
            threads: see `ScoringActor`.
            demand: what is planned for the images; None if nothing is.
        """
        return {
            "settings": self.settings,
            "device": device,
            "batch": self.options.batch,
            "weights_dir": self.options.weights_dir,
            "threads": threads,
            "planned_pixels": None if demand is None else demand.pixels,
            "weights": self.weights,
            "allow_slow_precision": self.options.allow_slow_precision,
        }
