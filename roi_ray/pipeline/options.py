"""Options of a scoring job. Imports nothing heavy, because the command line shows them."""

from dataclasses import dataclass
from typing import Literal

from roi_ray.runtime.cluster import Device
from roi_ray.settings import MAX_PIXELS

EngineName = Literal["auto", "local", "ray"]

DEFAULT_SHARD_SIZE = 1024


@dataclass(frozen=True)
class Options:
    """Options that decide how a job runs.

    To resume a run, repeat its `shard_size`, `max_pixels` and `allow_prefixes`.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        actors: number of scoring actors of Ray; None for as many as the GPUs hold, or one per CPU.
        gpus_per_actor: share of a GPU per actor, on a cluster with GPUs.
        batch: see `Scorer`.
        shard_size: pairs per shard, the unit of commit and resume.
        max_pixels: largest number of pixels of an image that is decoded.
        limit: number of pairs to score, from the start of the manifest; None for all.
        weights_dir: see `Scorer`.
        allow_prefixes: folders that images may be in, besides the manifest's own.
        allow_slow_precision: see `Scorer`.
        engine: `local` runs in this process, `ray` on Ray; `auto` takes `local` for a few hundred
            pairs on one device, if no cluster is at hand.
    """

    device: Device = "auto"
    actors: int | None = None
    gpus_per_actor: float = 1.0
    batch: int | None = None
    shard_size: int = DEFAULT_SHARD_SIZE
    max_pixels: int = MAX_PIXELS
    limit: int | None = None
    weights_dir: str | None = None
    allow_prefixes: tuple[str, ...] = ()
    allow_slow_precision: bool = False
    engine: EngineName = "auto"
