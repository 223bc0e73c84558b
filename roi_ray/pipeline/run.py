"""Score a manifest: the whole job, from the manifest's URI to committed Parquet files."""

import time
from contextlib import ExitStack
from dataclasses import dataclass

from roi_ray.io import storage
from roi_ray.io.allowlist import build_allowlist
from roi_ray.io.manifest import Manifest, read_manifest
from roi_ray.models.networks import Provenance
from roi_ray.pipeline.committer import Committer, drop_kinds
from roi_ray.pipeline.engine import Engine, make_engine, resolve_engine
from roi_ray.pipeline.job import Job, Stages
from roi_ray.pipeline.memory_plan import MemoryPlan, plan_memory, sample_headers
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.output import Output, OutputWriter
from roi_ray.pipeline.plan import PartPlan, Rows, make_work_items, plan_parts
from roi_ray.pipeline.precision import check_precision_here, resolve_precision
from roi_ray.pipeline.run_record import describe_run
from roi_ray.pipeline.score_stage import RETRIED_KINDS
from roi_ray.runtime.logs import FirstFailures
from roi_ray.runtime.progress import ProgressReporter
from roi_ray.scoring.scorer import load_networks_for
from roi_ray.settings import Settings

_EXAMPLES = 5


@dataclass(frozen=True)
class Summary:
    """The outcome of a job.

    Attributes:
        output: URI of the scores.
        rows: number of pairs in the output.
        failed: number of pairs with an error instead of scores.
        scored: number of pairs that this job scored; earlier jobs scored the others.
        seconds: duration of this job.
        examples: some of the errors that this job met.
    """

    output: str
    rows: int
    failed: int
    scored: int
    seconds: float
    examples: tuple[str, ...] = ()


def score_manifest(
    manifest_uri: str,
    output_uri: str,
    settings: Settings | None = None,
    options: Options | None = None,
    stages: Stages | None = None,
) -> Summary:
    """Score every pair of a manifest, or those that an interrupted job left.

    Args:
        manifest_uri: see `read_manifest`.
        output_uri: a new folder, or one that a job with the same settings has written to.
        settings: settings that decide the numbers; None for the defaults.
        options: options of the job; None for the defaults.
        stages: substitutes for the two stages, to measure or test the rest of the job.

    Raises:
        ManifestError: the manifest cannot be used.
        WeightsError: weights are missing, altered, or of an unknown layout.
        DeviceError: no GPU is available, or the precision is too slow on the devices.
        UsageError: the local engine cannot do what the options ask for.
        ClusterError: Ray cannot be reached or started.
        OutputError: the output belongs to another run, or another job is writing to it.
        StorageError: the manifest or the output cannot be reached, or S3 refuses the credentials.
            Shards that were committed before stay.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pyarrow as pa
        >>> import pyarrow.parquet as pq
        >>> from PIL import Image
        >>> from roi_ray.sweep import photographs
        >>> folder = Path(tempfile.mkdtemp())
        >>> photo = Image.open(photographs()["chelsea"]).crop((0, 0, 128, 96))
        >>> photo.save(folder / "cat.png")
        >>> photo.save(folder / "cat.jpg", quality=50)
        >>> manifest = pa.table({"reference": ["cat.png"], "distorted": ["cat.jpg"]})
        >>> pq.write_table(manifest, folder / "pairs.parquet")
        >>> summary = score_manifest(str(folder / "pairs.parquet"), str(folder / "scores"))
        >>> summary.rows, summary.failed
        (1, 0)
        >>> scores = pq.read_table(folder / "scores")
        >>> scores["distorted"][0].as_py(), 30 < scores["psnr"][0].as_py() < 40
        ('cat.jpg', True)
    """
    began = time.monotonic()
    settings, options = settings or Settings(), options or Options()
    manifest = read_manifest(manifest_uri, options.limit)
    # Load the weights first, so that unusable ones are reported before the job connects to Ray.
    weights = load_networks_for(settings, options.weights_dir).provenance
    location = {"given": manifest_uri, "uri": manifest.uri, "base": manifest.base}
    options = resolve_engine(options, manifest.rows, output_uri)
    with ExitStack() as connection:
        settings = resolve_precision(settings, options, output_uri, connection)
        run = describe_run(_describe_config(manifest, settings, options, weights), location)
        output = Output(output_uri, run)
        first_failures = FirstFailures()
        scored = 0
        is_recorded = output.is_recorded()  # refuses an output of another run at once
        with ProgressReporter(manifest.rows) as progress:
            failed = _count_failed_if_finished(manifest, output, options) if is_recorded else None
            if failed is not None:
                progress.skip(manifest.rows)
            else:
                check_precision_here(settings, options, output.uri if is_recorded else None)
                memory = _plan_memory(manifest, settings, options)
                job = Job(manifest.base, settings, options, weights, memory, stages or Stages())
                engine = make_engine(job, connection)
                with output.lock() as writer:
                    failed, scored = _score_missing(
                        manifest, output, writer, engine, options, first_failures, progress
                    )
    return Summary(
        output=output.uri,
        rows=manifest.rows,
        failed=failed,
        scored=scored,
        seconds=time.monotonic() - began,
        examples=tuple(map(str, first_failures.failures[:_EXAMPLES])),
    )


def _count_failed_if_finished(manifest: Manifest, output: Output, options: Options) -> int | None:
    """Count the failed rows of a finished output; None if it is not finished. Only reads."""
    failed = shard_count = 0
    for part in plan_parts(manifest.parts(), options.shard_size):
        inventory = output.inspect(part.shards)
        if inventory.missing:
            return None
        failed += sum(inventory.failed.values())
        shard_count += len(part.shards)
    return None if output.find_foreign_files(shard_count) else failed


def _score_missing(
    manifest: Manifest,
    output: Output,
    writer: OutputWriter,
    engine: Engine,
    options: Options,
    first_failures: FirstFailures,
    progress: ProgressReporter,
) -> tuple[int, int]:
    """Score and commit what the output lacks, and quarantine what does not belong to it.

    Returns:
        number of failed rows in the whole output, and number of rows scored now.
    """
    failed = scored = shard_count = 0
    for part in plan_parts(manifest.parts(), options.shard_size):
        shard_count += len(part.shards)
        # Under the lock, because another job may have written since the first inspection.
        inventory = output.inspect(part.shards)
        new = sum(map(len, inventory.missing.values()))
        failed += sum(inventory.failed.values())
        scored += new
        progress.skip(len(part.rows) - new)
        for name in inventory.torn:
            writer.quarantine(name)
        if inventory.missing:
            committer = Committer(part.rows, inventory.missing, writer, first_failures, progress)
            _score_part(part, engine, committer)
            failed += committer.failed
    for name in output.find_foreign_files(shard_count):
        writer.quarantine(name)
    return failed, scored


def _score_part(part: PartPlan, engine: Engine, committer: Committer) -> None:
    # First pass: many pairs per task. A pair that kills its process also loses the pairs that the
    # process had in work, S3 may not deliver some files, and a pair may find too little memory
    # while others are in work. Second pass: one lost pair per task.
    for isolate in (False, True):
        missing: dict[int, Rows] = committer.rows_without_result()
        if not missing:
            return
        items = make_work_items(part.rows, missing, isolate=isolate)
        for results in engine.score(items, isolate=isolate):
            committer.add(results if isolate else drop_kinds(results, RETRIED_KINDS))
    committer.mark_lost_rows()


def _plan_memory(manifest: Manifest, settings: Settings, options: Options) -> MemoryPlan:
    """Plan for the largest images of the manifest, of which some are looked at."""
    allowlist = build_allowlist(manifest.base, options.allow_prefixes)
    rows = next(manifest.parts())
    headers = sample_headers(rows, manifest.base, allowlist)
    return plan_memory(rows, headers, options.max_pixels, settings.lpips)


def _describe_config(
    manifest: Manifest, settings: Settings, options: Options, weights: Provenance
) -> dict[str, object]:
    """Collect everything that decides the rows and their numbers, and so identifies the run."""
    return {
        "manifest": {"rows": manifest.rows, "sha256": manifest.sha256},
        "roi_weighting": settings.roi_weighting,
        "precision": settings.precision,
        "metrics": list(settings.metrics),
        # Weights are identified by their content, as a file may be moved.
        "weights": weights,
        "shard_size": options.shard_size,
        "max_pixels": options.max_pixels,
        "allow_prefixes": sorted(map(storage.absolute, options.allow_prefixes)),
    }
