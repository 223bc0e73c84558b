"""The engines of a sweep: threads of this process, or tasks of Ray Data on a cluster."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from roi_ray.io.allowlist import Allowlist
from roi_ray.pipeline.engine import Engine
from roi_ray.sweep.codec import Codec
from roi_ray.sweep.codec_run import EncodeOptions
from roi_ray.sweep.encode_stage import encode_cells


@dataclass(frozen=True)
class EncodeJob:
    """A job of encoding, as every engine runs it.

    Attributes:
        base: URI of the folder that relative URIs of originals are relative to.
        allowlist: folders that originals may be in.
        codecs: the codecs by label.
        output: URI of the folder that encoded files are relative to.
        options: options of the encode stage.
        workers: largest number of CPUs that encode at a time; None for all.
    """

    base: str
    allowlist: Allowlist
    codecs: Mapping[str, Codec]
    output: str
    options: EncodeOptions
    workers: int | None = None

    def arguments(self) -> dict[str, object]:
        """Return the keyword arguments of `encode_cells`."""
        return {
            "base": self.base,
            "allowlist": self.allowlist,
            "codecs": dict(self.codecs),
            "output": self.output,
            "options": self.options,
        }

    def encode(
        self, items: pa.Table, is_stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[pa.Table]:
        """Encode the cells of work items; see `encode_cells`."""
        return encode_cells(
            items, self.base, self.allowlist, self.codecs, self.output, self.options, is_stopped
        )


def make_encode_engine(
    name: Literal["local", "ray"], job: EncodeJob, connection: ExitStack
) -> Engine:
    """Make an engine.

    Args:
        name: `local` or `ray`.
        job: what to run.
        connection: keeps the connection to Ray, if the engine makes one.
    """
    if name == "local":
        from roi_ray.sweep.local_engine import LocalEncodeEngine

        return LocalEncodeEngine(job)
    from roi_ray.sweep.ray_engine import RayEncodeEngine

    return RayEncodeEngine(job, connection)
