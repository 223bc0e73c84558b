"""`roi-ray sweep`: encode images with many codecs and qualities, and write the manifest."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_if_too_many_failed, exit_with_message
from roi_ray.pipeline.options import EngineName, Options
from roi_ray.runtime.logs import escape_line, log_to_stderr
from roi_ray.settings import (
    DEFAULT_DISCRIMINATOR,
    DEFAULT_LPIPS,
    DEFAULT_SALIENCY,
    MAX_PIXELS,
    Settings,
)
from roi_ray.sweep.options import DEFAULT_SHARD_CELLS, SweepOptions

if TYPE_CHECKING:
    from roi_ray.sweep.job import SweepSummary
    from roi_ray.sweep.planned import PlannedSweep

_PLAN = "Plan (it decides the files)"


@exit_with_message
def main(
    *,
    images: Annotated[
        str,
        typer.Option(
            help="Originals: a folder of images, at any depth, an image, or a manifest with the "
            "column reference; its other columns, such as content, are carried to the scores. "
            "Local, or a URI (s3://, gs://, az://)."
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            help="Folder, or URI of one, for the encoded files and manifest.parquet. That of an "
            "earlier sweep gets what the plan adds to it."
        ),
    ],
    codec: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:QUALITIES][:OPTIONS]",
            help="Codec, such as jpeg:10..95:5 or avif:20,35,50:speed=6,444. Without qualities, "
            "its default ones, or none with --match. `roi-ray codecs` lists codecs and options. "
            "Repeatable.",
            show_default=False,
            rich_help_panel=_PLAN,
        ),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.toml",
            help="File with a table per codec, also for codecs that are run by a command line.",
            show_default=False,
            rich_help_panel=_PLAN,
        ),
    ] = None,
    match: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUES",
            help="Search the quality of each codec for each image that meets a size or a score: "
            "bpp=0.25,0.5, psnr=35, ms_ssim=0.98, ssimulacra2=70,80. Repeatable.",
            show_default=False,
            rich_help_panel=_PLAN,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Largest distance from a --match that is accepted: a share of bpp, or points of a "
            "metric. A cell that misses it is an error.",
            show_default="bpp 0.05, psnr 0.5, ms_ssim 0.005, ssimulacra2 1",
            rich_help_panel=_PLAN,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of images to take, from the first one.",
            show_default="all images",
            rich_help_panel=_PLAN,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the cells of the sweep, and write nothing.")
    ] = False,
    score: Annotated[
        bool, typer.Option("--score", help="Score the sweep when it is made, in OUTPUT/scores.")
    ] = False,
    repeat: Annotated[
        int,
        typer.Option(
            min=1,
            help="Times that each file is encoded and decoded; the medians of the times count.",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CPUs that encode at the same time. With 1, times are measured alone.",
            show_default="all CPUs",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = None,
    engine: Annotated[
        EngineName,
        typer.Option(
            help="local: in threads of this process. ray: on Ray, with several processes or nodes. "
            "auto: local, unless RAY_ADDRESS names a cluster, or a job of this output was killed.",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = "auto",
    shard_size: Annotated[
        int,
        typer.Option(
            min=1,
            help="Cells per shard: the unit of commit and of resume. Scores have shards of the "
            "default size of `roi-ray score`.",
            rich_help_panel=cli.RUN_PANEL,
        ),
    ] = DEFAULT_SHARD_CELLS,
    max_pixels: cli.MaxPixels = MAX_PIXELS,
    allow_prefix: cli.AllowPrefix = None,
    fail_above: cli.FailAbove = 0.1,
    log_level: cli.LogLevel = None,
    lpips: cli.LpipsOption = DEFAULT_LPIPS,
    saliency: cli.SaliencyOption = DEFAULT_SALIENCY,
    discriminator: cli.DiscriminatorOption = DEFAULT_DISCRIMINATOR,
    roi_weighting: cli.RoiWeighting = "mean",
    precision: cli.Precision = "fp32",
    metrics: cli.Metrics = None,
    weights_dir: cli.WeightsDir = None,
    device: cli.Device = "auto",
) -> None:
    """Encode images with codecs at many qualities: bitstreams, bit rates, times, and a manifest.

    The same command resumes an interrupted sweep, and one with further codecs, qualities or images
    adds only those. A cell that cannot be encoded is a row with an error.

    Exit codes: 0 if every cell has a file or an error; 2 if the arguments, the plan, the images or
    the output cannot be used; 3 if the sweep, or its scores, are complete but more rows than
    --fail-above have an error.
    """
    from roi_ray.io import storage
    from roi_ray.sweep.job import make_sweep
    from roi_ray.sweep.planned import plan_sweep

    log_to_stderr(log_level)
    allowed = tuple(allow_prefix or ())
    options = SweepOptions(
        limit, tolerance, repeat, workers, shard_size, max_pixels, allowed, engine
    )
    if dry_run:
        sweep = plan_sweep(
            images, output, codec or (), plan=plan, match=match or (), options=options
        )
        print_cells(sweep)
        return
    summary = make_sweep(images, output, codec or (), plan=plan, match=match or (), options=options)
    print_summary(summary)
    failed, rows = summary.failed, summary.rows
    scores_uri = storage.join(storage.parent(summary.manifest), "scores")
    if score:
        from roi_ray.cli.score import print_summary as print_scores
        from roi_ray.pipeline.run import score_manifest

        scores = score_manifest(
            summary.manifest,
            scores_uri,
            Settings(
                lpips, saliency, discriminator, roi_weighting, precision, tuple(metrics or ())
            ),
            Options(
                engine=engine,
                device=device,
                max_pixels=max_pixels,
                weights_dir=weights_dir,
                allow_prefixes=summary.folders,
            ),
        )
        print_scores(scores)
        failed, rows = scores.failed, scores.rows
    else:
        prefixes = [part for prefix in summary.folders for part in ("--allow-prefix", prefix)]
        measured = [part for name in metrics or () for part in ("--metrics", name)]
        command = ["roi-ray", "score", "--manifest", summary.manifest, *prefixes, *measured]
        print(f"score it: {shlex.join([*command, '--output', scores_uri])}")
    exit_if_too_many_failed(failed, rows, fail_above)


def print_summary(summary: "SweepSummary") -> None:
    """Print how many cells were encoded and failed, and some of the errors."""
    print(
        f"{summary.rows} cells, {summary.failed} failed; {summary.encoded} encoded now "
        f"in {summary.seconds:.1f} s -> {summary.manifest}"
    )
    for text in summary.examples:
        print(f"  {escape_line(text)}")


def print_cells(sweep: "PlannedSweep") -> None:
    """Print the codecs of a plan, their targets, and the numbers of cells."""
    from rich.console import Console
    from rich.table import Table

    table = Table("codec", "settings", "targets of each image", "cells")
    images = len(sweep.images.uris)
    for codec, targets in sweep.plan:
        values: dict[str, list[str]] = {}
        for target in targets:
            values.setdefault(target.metric, []).append(f"{target.value:g}")
        lines = [f"{metric} {', '.join(values[metric])}" for metric in values]
        cells = str(images * len(targets))
        table.add_row(codec.label, codec.settings, "\n".join(lines), cells)
    Console().print(table)
    total = images * sum(len(targets) for _, targets in sweep.plan)
    print(f"{images} images of {sweep.images.base}: {total} cells")
    print(f"{sweep.uri} has {sweep.earlier} cells, and would have {sweep.manifest.rows}")
