"""`roi-ray score`: score a sweep of (original, decoded) image pairs."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_if_too_many_failed, exit_with_message
from roi_ray.pipeline.options import DEFAULT_SHARD_SIZE, Options
from roi_ray.runtime.logs import escape_line, log_to_stderr
from roi_ray.schema import OPTIONAL_METRICS
from roi_ray.settings import (
    DEFAULT_DISCRIMINATOR,
    DEFAULT_LPIPS,
    DEFAULT_SALIENCY,
    MAX_PIXELS,
    Settings,
)

if TYPE_CHECKING:
    from roi_ray.pipeline.run import Summary


@exit_with_message
def main(
    *,
    manifest: Annotated[
        str | None,
        typer.Option(
            help="Image pairs to score: a Parquet, CSV or JSON Lines file, a folder of them, or "
            "a URI (s3://, gs://, az://), with columns reference and distorted.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="Folder for the scores, or URI of one (s3://, gs://, az://).", show_default=False
        ),
    ] = None,
    demo: Annotated[
        str | None,
        typer.Option(
            help="Instead of --manifest and --output: make a small sweep from photographs in "
            "this folder, and score it with all metrics. Needs the extra `demo`.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of rows to score, from the first row.", show_default="all rows"
        ),
    ] = None,
    lpips: cli.LpipsOption = DEFAULT_LPIPS,
    saliency: cli.SaliencyOption = DEFAULT_SALIENCY,
    discriminator: cli.DiscriminatorOption = DEFAULT_DISCRIMINATOR,
    roi_weighting: cli.RoiWeighting = "mean",
    precision: cli.Precision = "fp32",
    metrics: cli.Metrics = None,
    weights_dir: cli.WeightsDir = None,
    allow_slow_precision: cli.AllowSlowPrecision = False,
    engine: cli.Engine = "auto",
    device: cli.Device = "auto",
    actors: cli.Actors = None,
    gpus_per_actor: cli.GpusPerActor = 1.0,
    batch: cli.Batch = None,
    shard_size: cli.ShardSize = DEFAULT_SHARD_SIZE,
    max_pixels: cli.MaxPixels = MAX_PIXELS,
    allow_prefix: cli.AllowPrefix = None,
    fail_above: cli.FailAbove = 0.1,
    log_level: cli.LogLevel = None,
) -> None:
    """Score every pair of a manifest: PSNR, MS-SSIM, LPIPS and discriminator loss, image and ROI.

    The scores are a Parquet data set with one row per row of the manifest. The same command
    resumes an interrupted run. An image that cannot be scored is a row with an error.

    Exit codes: 0 if every row has scores or an error; 2 if the arguments, the manifest, the
    weights or the output cannot be used; 3 if the output is complete but more rows than
    --fail-above have an error.
    """
    if (demo is None) == (manifest is None) or (manifest is None) != (output is None):
        raise typer.BadParameter("give --manifest and --output, or --demo alone")
    from roi_ray.pipeline.run import score_manifest
    from roi_ray.runtime.memory import keep_freed_memory

    keep_freed_memory()  # on large images, the local engine needs an eighth less time
    log_to_stderr(log_level)
    settings = Settings(
        lpips, saliency, discriminator, roi_weighting, precision, tuple(metrics or ())
    )
    options = Options(
        engine=engine,
        device=device,
        actors=actors,
        gpus_per_actor=gpus_per_actor,
        batch=batch,
        shard_size=shard_size,
        max_pixels=max_pixels,
        limit=limit,
        weights_dir=weights_dir,
        allow_prefixes=tuple(allow_prefix or ()),
        allow_slow_precision=allow_slow_precision,
    )
    if demo is not None:
        # Only the demonstration imports the report, which takes seconds.
        from roi_ray.report.demo import make_demo, report_demo

        manifest, output = make_demo(demo)
        settings = replace(settings, metrics=OPTIONAL_METRICS)  # the report shows all there is
    assert manifest is not None and output is not None
    summary = score_manifest(manifest, output, settings, options)
    print_summary(summary)
    if demo is not None:
        report_demo(demo, saliency)
    exit_if_too_many_failed(summary.failed, summary.rows, fail_above)


def print_summary(summary: "Summary") -> None:
    """Print how many pairs were scored and failed, and some of the errors."""
    print(
        f"{summary.rows} pairs, {summary.failed} failed; {summary.scored} scored now "
        f"in {summary.seconds:.1f} s -> {summary.output}"
    )
    for text in summary.examples:
        print(f"  {escape_line(text)}")
