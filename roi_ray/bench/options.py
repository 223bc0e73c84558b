"""Options of a benchmark. Imports nothing heavy, so that the command line shows them at once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from roi_ray.settings import Settings

SaliencyName = Literal["u2netp", "packaged"]
"""The saliency network that every implementation uses."""

EngineName = Literal["local", "ray"]
"""An engine of jobs whose memory is measured."""


@dataclass(frozen=True)
class BenchOptions:
    """Options of one benchmark run.

    Attributes:
        photographs: image files to measure on.
        rivals: names of the implementations to compare with, from `rivals.RIVALS`.
        sizes: heights and widths of the images in pixels. Rivals are measured at the first one
            only.
        per_reference: numbers of distorted images per reference, K. Rivals and memory are measured
            at the first two only.
        saliency: saliency network of every implementation.
        settings: settings of roi-ray; only the precision is used.
        device: `auto`, `cpu` or `cuda`.
        batch: images per pass through roi-ray's networks, see `Scorer`.
        references: number of references that are scored together.
        decoded: whether images are decoded before the measurement, instead of read from files.
        rounds: number of rounds, not counting the warm-up.
        job_pairs: pairs of the whole job on Ray; 0 leaves the job out.
        engines: engines whose jobs' memory is measured.
    """

    photographs: Sequence[Path]
    rivals: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    per_reference: Sequence[int]
    saliency: SaliencyName
    settings: Settings
    device: str
    batch: int | None
    references: int
    decoded: bool
    rounds: int
    job_pairs: int
    engines: Sequence[EngineName]

    def as_json(self) -> dict[str, Any]:
        """Convert to JSON values, with the names of the photographs instead of their paths."""
        return asdict(self) | {"photographs": [path.name for path in self.photographs]}
