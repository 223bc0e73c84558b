"""Score a manifest: the whole job, from the manifest's URI to committed Parquet files."""

import time
from contextlib import ExitStack
from dataclasses import dataclass

from roi_ray.io import storage
from roi_ray.io.allowlist import build_allowlist
from roi_ray.io.manifest import Manifest, read_manifest
from roi_ray.models.networks import Provenance
from roi_ray.pipeline.completion import complete_output
from roi_ray.pipeline.engine import Engine
from roi_ray.pipeline.job import Job, Stages
from roi_ray.pipeline.memory_plan import MemoryPlan, plan_memory, sample_headers
from roi_ray.pipeline.options import Options
from roi_ray.pipeline.output import Output
from roi_ray.pipeline.precision import check_precision_here, resolve_precision
from roi_ray.pipeline.run_record import describe_run
from roi_ray.pipeline.score_engine import make_engine, resolve_engine
from roi_ray.pipeline.score_kind import make_score_kind
from roi_ray.scoring.scorer import load_networks_for
from roi_ray.settings import Settings


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
        kind = make_score_kind(settings.metrics)
        config = _describe_config(manifest, settings, options, weights)
        output = Output(output_uri, describe_run(kind, config, location), kind)

        def start_engine() -> Engine:
            check_precision_here(settings, options, output.uri if output.stored else None)
            memory = _plan_memory(manifest, settings, options)
            job = Job(manifest.base, settings, options, weights, memory, stages or Stages())
            return make_engine(job, connection)

        completion = complete_output(manifest, output, start_engine, options.shard_size)
    return Summary(
        output=output.uri,
        rows=manifest.rows,
        failed=completion.failed,
        scored=completion.computed,
        seconds=time.monotonic() - began,
        examples=completion.examples,
    )


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
