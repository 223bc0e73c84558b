"""How a scoring job runs. Imports nothing heavy, as a command line shows these options."""

from dataclasses import dataclass

from roi_ray.runtime.cluster import Device
from roi_ray.settings import MAX_PIXELS

DEFAULT_SHARD_SIZE = 1024


@dataclass(frozen=True)
class Options:
    """How a job runs.

    To resume a run, repeat its `shard_size`, `max_pixels` and `allow_prefixes`.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        actors: number of scoring actors; None for as many as the GPUs hold, or one per CPU.
        gpus_per_actor: share of a GPU per actor, on a cluster with GPUs.
        batch: see `Scorer`.
        shard_size: pairs per shard, the unit of commit and resume.
        max_pixels: largest number of pixels of an image that is decoded.
        limit: score only this many pairs, the first of the manifest.
        weights_dir: see `Scorer`.
        allow_prefixes: folders that images may be in, besides the manifest's own.
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
