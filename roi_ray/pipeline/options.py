"""How a scoring job runs. Imports nothing heavy, as a command line shows these options."""

from dataclasses import dataclass

from roi_ray.runtime.cluster import Device
from roi_ray.settings import MAX_PIXELS

DEFAULT_SHARD_SIZE = 1024


@dataclass(frozen=True)
class Options:
    """How a job runs. `shard_size`, `max_pixels` and `allow` must stay for a resumed run.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        actors: scoring actors; None for as many as the GPUs hold, or one a CPU.
        gpus_per_actor: share of a GPU for each, where there are GPUs.
        batch: see `Scorer`.
        shard_size: pairs a shard: the unit of commit and of resume.
        max_pixels: largest image that is decoded.
        limit: score the first pairs of the manifest only.
        weights_dir: see `Scorer`.
        allow: folders that images may be in, besides the manifest's own.
    """

    device: Device = "auto"
    actors: int | None = None
    gpus_per_actor: float = 1.0
    batch: int | None = None
    shard_size: int = DEFAULT_SHARD_SIZE
    max_pixels: int = MAX_PIXELS
    limit: int | None = None
    weights_dir: str | None = None
    allow: tuple[str, ...] = ()
