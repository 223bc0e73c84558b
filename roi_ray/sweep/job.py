"""Make a sweep: encode every original with every codec, and write the manifest for scoring.

OUTPUT/encoded/CODEC/IMAGE-q50.jpg   encoded files
OUTPUT/decoded/CODEC/IMAGE-q50.png   what the decoders of external codecs made of them
OUTPUT/manifest.parquet              all cells: what `roi-ray score --manifest` takes
OUTPUT/cells/                        the same in shards, as they were committed, and `_run/`
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike, fspath

import pyarrow as pa

from roi_ray import schema
from roi_ray.errors import CodecError, OutputError, UsageError
from roi_ray.io import storage
from roi_ray.io.allowlist import build_allowlist
from roi_ray.io.formats import open_parquet
from roi_ray.io.parquet_files import write_tables
from roi_ray.pipeline.completion import complete_output
from roi_ray.pipeline.engine import Engine, choose_engine
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.run_record import describe_run
from roi_ray.pipeline.shard_file import read_shard
from roi_ray.pipeline.status import CELLS
from roi_ray.sweep.cells import write_cells
from roi_ray.sweep.codec import Codec
from roi_ray.sweep.codec_run import EncodeOptions
from roi_ray.sweep.engines import EncodeJob, make_encode_engine
from roi_ray.sweep.images import Images
from roi_ray.sweep.options import SweepOptions
from roi_ray.sweep.planned import PlannedSweep, cells_uri, plan_sweep
from roi_ray.sweep.sweep_kind import KIND

_MANIFEST = "manifest.parquet"
_SHA256 = "roi_ray_cells"
_ANY_NUMBER = 1 << 62


@dataclass(frozen=True)
class SweepSummary:
    """The outcome of a sweep.

    Attributes:
        manifest: URI of the manifest.
        folders: folders of originals and masks outside the sweep's own, which scoring must be
            allowed to read.
        rows: number of cells of the sweep.
        failed: number of cells with an error.
        encoded: number of cells that this job encoded; earlier jobs encoded the others.
        seconds: duration of this job.
        examples: some of the errors that this job met.
    """

    manifest: str
    folders: tuple[str, ...]
    rows: int
    failed: int
    encoded: int
    seconds: float
    examples: tuple[str, ...] = ()


def make_sweep(
    images: str | PathLike[str],
    output: str | PathLike[str],
    codecs: str | Sequence[str] = (),
    *,
    plan: str | PathLike[str] | None = None,
    match: str | Sequence[str] = (),
    options: SweepOptions | None = None,
) -> SweepSummary:
    """Encode every original with every codec at every quality, and write a manifest.

    The same call resumes an interrupted sweep. Further codecs, qualities, targets or images are
    added to a sweep; what it has is kept. A cell that cannot be encoded is a row with an error.

    Args:
        images: a folder of images, at any depth, a manifest with the column `reference`, or an
            image; a path or URI.
        output: folder of the sweep; a path or URI.
        codecs: codecs such as `jpeg:10..95:5` or `avif:20,50:speed=6,444`; see
            `roi_ray.sweep.plan`.
        plan: a TOML file with a table per codec; see there.
        match: targets such as `bpp=0.25,0.5`, which every codec meets on each image.
        options: how the sweep runs; None for the defaults.

    Raises:
        UsageError: a codec, an option, a quality or a target is not possible; nothing is written.
        ManifestError: there are no images.
        OutputError: the output belongs to another sweep, or another job is writing to it.
        ClusterError: Ray cannot be reached or started.
        StorageError: the images or the output cannot be reached, or the disk is full. Shards that
            were committed before stay.

    Examples:
        >>> import tempfile
        >>> import pyarrow.parquet as pq
        >>> from roi_ray.sweep import photographs
        >>> folder = tempfile.mkdtemp()
        >>> summary = make_sweep(str(photographs()["chelsea"]), folder, ["jpeg:20,80", "webp:50"])
        >>> summary.rows, summary.failed
        (3, 0)
        >>> cells = pq.read_table(summary.manifest, columns=["codec", "quality", "bpp"]).to_pylist()
        >>> cells[0]["codec"], cells[0]["quality"], 0.1 < cells[0]["bpp"] < cells[1]["bpp"] < 3
        ('jpeg', 20.0, True)
    """
    began = time.monotonic()
    options = options or SweepOptions()
    encode_options = EncodeOptions(options.repeat, options.tolerance, options.max_pixels)
    sweep = plan_sweep(images, output, codecs, plan=plan, match=match, options=options)
    _check_manifest_is_ours(sweep.uri)
    cells = Output(
        storage.join(sweep.uri, CELLS),
        describe_run(
            KIND, _describe_config(sweep, options), {"given": fspath(images), "uri": sweep.uri}
        ),
        KIND,
    )
    engine_name = options.engine
    if engine_name == "auto":
        engine_name = choose_engine(sweep.manifest.rows, cells.uri, _ANY_NUMBER)
    by_label = {planned.codec.label: planned.codec for planned in sweep.plan}
    if not cells.is_recorded():
        if engine_name == "local":
            new = sweep.manifest.table[schema.CODEC].slice(sweep.earlier)
            _check_available(by_label[label] for label in new.unique().to_pylist())
        write_cells(cells_uri(sweep.uri, sweep.manifest.sha256), sweep.manifest.table)
    with ExitStack() as connection:

        def start_engine() -> Engine:
            job = _make_job(sweep, options, encode_options)
            engine = make_encode_engine(engine_name, job, connection)
            return _CheckedEngine(engine, job, sweep.images, is_local=engine_name == "local")

        completion = complete_output(sweep.manifest, cells, start_engine, options.shard_size)
    manifest = _write_manifest(sweep, cells, is_changed=completion.computed > 0)
    return SweepSummary(
        manifest=manifest,
        folders=_find_folders(sweep, manifest),
        rows=sweep.manifest.rows,
        failed=completion.failed,
        encoded=completion.computed,
        seconds=time.monotonic() - began,
        examples=completion.examples,
    )


def _describe_config(sweep: PlannedSweep, options: SweepOptions) -> dict[str, object]:
    """Collect everything that decides the files, and so identifies the sweep."""
    return {
        "manifest": {"rows": sweep.manifest.rows, "sha256": sweep.manifest.sha256},
        "tolerance": options.tolerance,
        "shard_size": options.shard_size,
        "max_pixels": options.max_pixels,
    }


def _find_folders(sweep: PlannedSweep, manifest: str) -> tuple[str, ...]:
    """Find the folders outside the sweep's own that scoring reads: not those of failed cells."""
    columns = [schema.REFERENCE, schema.MASK]
    names = [name for name in columns if name in sweep.manifest.table.column_names]
    with open_parquet(manifest) as parquet:
        table = parquet.read([*names, schema.ERROR])
    table = table.filter(table[schema.ERROR].is_null())
    uris = {uri for name in names for uri in table[name].unique().to_pylist() if uri}
    folders = {storage.parent(storage.resolve(uri, sweep.uri)) for uri in uris}
    found: list[str] = []
    for folder in (sweep.images.base, *sorted(folders)):  # a folder precedes those below it
        if not build_allowlist(sweep.uri, found).allows(folder):
            found.append(folder)
    return tuple(found)


def _make_job(
    sweep: PlannedSweep, options: SweepOptions, encode_options: EncodeOptions
) -> EncodeJob:
    allowed = [sweep.images.base, *options.allow_prefixes]
    return EncodeJob(
        base=sweep.uri,
        allowlist=build_allowlist(sweep.uri, allowed),
        codecs={planned.codec.label: planned.codec for planned in sweep.plan},
        output=sweep.uri,
        options=encode_options,
        workers=options.workers,
    )


@dataclass(frozen=True)
class _CheckedEngine:
    """Engine that refuses cells which this command cannot encode, though another one could.

    They would become rows with an error for good.
    """

    engine: Engine
    job: EncodeJob
    images: Images
    is_local: bool

    def run(self, items: pa.Table, *, isolate: bool = False) -> Iterator[pa.Table]:
        """Encode the cells of work items; see `Engine.run`.

        Raises:
            UsageError: a cell of an earlier, unfinished plan has a codec that the plan does not
                name, or an original that it does not name and that it may not open; or this
                machine, which is to do all work, lacks a codec.
        """
        labels = set(items[schema.CODEC].combine_chunks().flatten().unique().to_pylist())
        if unknown := sorted(labels - self.job.codecs.keys()):
            raise UsageError(
                f"an earlier command planned cells of {', '.join(unknown)} that were never "
                "encoded; name their codecs again, with the same options, or name another --output"
            )
        references = items[schema.REFERENCE].unique().to_pylist()
        originals = {storage.resolve(uri, self.job.base) for uri in references}
        not_named = sorted(originals - set(self.images.uris))
        if closed := [uri for uri in not_named if not self.job.allowlist.allows(uri)]:
            raise UsageError(
                f"an earlier command planned cells of {closed[0]} that were never encoded; name "
                "its images again, or their folder with --allow-prefix, or name another --output"
            )
        if self.is_local:
            _check_available(self.job.codecs[label] for label in sorted(labels))
        yield from self.engine.run(items, isolate=isolate)


def _check_available(codecs: Iterable[Codec]) -> None:
    """Check that this machine has codecs, without which every cell would fail."""
    for codec in codecs:
        try:
            codec.version()
        except CodecError as error:
            raise UsageError(f"codec {codec.label!r} is not available: {error}") from error


def _check_manifest_is_ours(output: str) -> None:
    """Check that no manifest of somebody else would be overwritten."""
    uri = storage.join(output, _MANIFEST)
    if storage.is_file(uri) and _read_manifest_sha256(uri) is None:
        raise OutputError(
            f"{uri} is not a manifest that `roi-ray sweep` wrote; name another folder"
        )


def _write_manifest(sweep: PlannedSweep, cells: Output, *, is_changed: bool) -> str:
    """Write all cells to one file, unless it is up to date; return its URI."""
    uri, sha256 = storage.join(sweep.uri, _MANIFEST), sweep.manifest.sha256
    if is_changed or not storage.is_file(uri) or _read_manifest_sha256(uri) != sha256:
        # The next job, which may be adding cells already, has other footers in its shards.
        files = map(cells.shard_uri, sorted(cells.read_complete_shards()))
        write_tables(uri, map(read_shard, files), {_SHA256: sha256})
    return uri


def _read_manifest_sha256(uri: str) -> str | None:
    """Read the SHA-256 of the cells that a manifest has; None if it is not a sweep's."""
    with open_parquet(uri) as parquet:
        value = (parquet.metadata.metadata or {}).get(_SHA256.encode())
    return None if value is None else str(value.decode())
