"""A sweep before anything is encoded: the cells that it has, and those that a plan adds to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath

import pyarrow as pa

from roi_ray.io import storage
from roi_ray.io.manifest import Manifest
from roi_ray.io.tables import sha256_of_rows
from roi_ray.pipeline.run_record import RUN_FOLDER, RUN_JSON, read_run
from roi_ray.pipeline.shard_file import list_shard_files
from roi_ray.pipeline.status import CELLS
from roi_ray.sweep.cells import add_cells, make_cells, read_cells
from roi_ray.sweep.images import Images, find_images
from roi_ray.sweep.options import SweepOptions
from roi_ray.sweep.plan import PlannedCodec, make_plan
from roi_ray.sweep.sweep_kind import KIND


@dataclass(frozen=True)
class PlannedSweep:
    """A sweep before anything is encoded.

    Attributes:
        uri: absolute URI of its folder.
        images: the originals that the plan names.
        plan: codecs and targets that the plan names.
        manifest: all cells, those that the output was planned with before included.
        earlier: number of the latter.
    """

    uri: str
    images: Images
    plan: tuple[PlannedCodec, ...]
    manifest: Manifest
    earlier: int


def plan_sweep(
    images: str | PathLike[str],
    output: str | PathLike[str],
    codecs: str | Sequence[str] = (),
    *,
    plan: str | PathLike[str] | None = None,
    match: str | Sequence[str] = (),
    options: SweepOptions | None = None,
) -> PlannedSweep:
    """Plan a sweep, and write nothing; see `roi_ray.sweep.job.make_sweep`."""
    codecs, match = ([each] if isinstance(each, str) else each for each in (codecs, match))
    planned = make_plan(codecs, None if plan is None else fspath(plan), match)
    uri = storage.absolute(fspath(output))
    originals = find_images(fspath(images), uri, (options or SweepOptions()).limit)
    earlier = _read_earlier_cells(uri)
    table = add_cells(earlier, make_cells(originals, planned, uri, earlier), uri)
    manifest = Manifest(uri, len(table), uri, sha256_of_rows(table), [table])
    return PlannedSweep(uri, originals, planned, manifest, 0 if earlier is None else len(earlier))


def cells_uri(output: str, sha256: str) -> str:
    """Return the URI of the file of a sweep's cells, named by their SHA-256.

    It is written before the record names it, so a job that is killed leaves the old ones in force.
    """
    return storage.join(output, CELLS, RUN_FOLDER, f"cells-{sha256[:16]}.parquet")


def _read_earlier_cells(output: str) -> pa.Table | None:
    """Read the cells that the output's record names; None if none of them is encoded yet."""
    folder = storage.join(output, CELLS)
    if not storage.is_file(storage.join(folder, *RUN_JSON)) or not any(list_shard_files(folder)):
        return None
    return read_cells(
        cells_uri(output, read_run(folder, KIND.command)["config"]["manifest"]["sha256"])
    )
