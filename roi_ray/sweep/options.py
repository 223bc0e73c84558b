"""Options of a sweep. Imports nothing heavy, because the command line shows them."""

from dataclasses import dataclass

from roi_ray.pipeline.options import EngineName
from roi_ray.settings import MAX_PIXELS

DEFAULT_SHARD_CELLS = 64
"""Cells per shard. Fewer than pairs of scores, because slow encoders take minutes per cell."""


@dataclass(frozen=True)
class SweepOptions:
    """Options that decide how a sweep runs.

    To resume a sweep, or to add to it, repeat its `tolerance`, `shard_size` and `max_pixels`.

    Attributes:
        limit: number of images to take from the start; None for all.
        tolerance: largest difference from a target that is accepted, in the metric's unit, for bpp
            as a share of the target; None for the default of each metric: see
            `roi_ray.sweep.match`.
        repeat: number of times that each file is encoded and decoded; their medians are recorded.
        workers: images that are encoded at the same time; None for as many as there are CPUs. 1
            measures times without disturbing itself.
        shard_size: cells per shard, the unit of commit and resume: an interrupted sweep encodes
            unfinished shards again from their start.
        max_pixels: largest number of pixels of an image that is decoded.
        allow_prefixes: folders that a manifest's images and masks may be in, besides the manifest's
            own; and those of images of an earlier command that were not encoded.
        engine: `local` runs in this process, `ray` on Ray; `auto` takes `local` if no cluster is at
            hand.
    """

    limit: int | None = None
    tolerance: float | None = None
    repeat: int = 1
    workers: int | None = None
    shard_size: int = DEFAULT_SHARD_CELLS
    max_pixels: int = MAX_PIXELS
    allow_prefixes: tuple[str, ...] = ()
    engine: EngineName = "auto"
