"""Score a sweep of (original, decoded) image pairs.

python jobs/score.py --manifest sweep.parquet --output scores/
python jobs/score.py --demo out/demo
"""

import sys
from typing import Annotated

import typer

from roi_ray.cli.exits import EXIT_TOO_MANY_FAILED, exit_with_message
from roi_ray.pipeline.options import DEFAULT_SHARD_SIZE, Options
from roi_ray.pipeline.run import Summary, score_manifest
from roi_ray.runtime.cluster import Device
from roi_ray.runtime.logs import LogLevel, escape_line, log_to_stderr
from roi_ray.settings import (
    DEFAULT_DISCRIMINATOR,
    DEFAULT_LPIPS,
    DEFAULT_SALIENCY,
    MAX_PIXELS,
    LpipsName,
    Precision,
    Settings,
    Weighting,
)


@exit_with_message
def main(
    manifest: Annotated[
        str | None,
        typer.Option(help="Parquet, CSV or JSON Lines: a file, a folder, or s3://."),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Folder or s3:// prefix for the scores.")
    ] = None,
    demo: Annotated[
        str | None,
        typer.Option(help="Instead: make a small sweep from photographs here, and score it."),
    ] = None,
    lpips_: Annotated[
        LpipsName, typer.Option("--lpips", help="LPIPS network; alex is the paper's.")
    ] = DEFAULT_LPIPS,
    saliency_: Annotated[
        str, typer.Option("--saliency", help="Packaged network, or a U2-Net(-p) checkpoint.")
    ] = DEFAULT_SALIENCY,
    discriminator_: Annotated[
        str, typer.Option("--discriminator", help="Packaged network, or a PatchGAN checkpoint.")
    ] = DEFAULT_DISCRIMINATOR,
    weights_dir: Annotated[
        str | None, typer.Option(help="Folder with torchvision's files for alex, vgg, squeeze.")
    ] = None,
    roi_weighting: Annotated[
        Weighting, typer.Option(help="mean: mean(L R), the paper's; normalised: sum(L R) / sum(R).")
    ] = "mean",
    device: Annotated[Device, typer.Option(help="auto: GPUs if the cluster has any.")] = "auto",
    actors: Annotated[
        int | None, typer.Option(min=1, help="Scoring actors; one a GPU, else one a CPU.")
    ] = None,
    gpus_per_actor: Annotated[
        float, typer.Option(min=0.01, max=1, help="Of each scoring actor: 0.5 puts two on a GPU.")
    ] = 1.0,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="512 x 512 images at once; 1 on a CPU, 32 on a GPU."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Of the networks; metrics are always fp32 or better.")
    ] = "fp32",
    shard_size: Annotated[
        int, typer.Option(min=1, help="Pairs a file: the unit of commit and resume.")
    ] = DEFAULT_SHARD_SIZE,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Largest image that is decoded; larger ones are errors.")
    ] = MAX_PIXELS,
    allow_prefix: Annotated[
        list[str] | None,
        typer.Option(help="Another folder than the manifest's that images may be in."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Score the first rows of the manifest only.")
    ] = None,
    fail_above: Annotated[
        float, typer.Option(min=0, max=1, help="Exit with 3 if a larger share of rows failed.")
    ] = 0.1,
    log_level: Annotated[
        LogLevel | None,
        typer.Option(
            help="Of the lines on standard error: info has a line a shard, warning the first "
            "failed pairs.",
            show_default="warning on a terminal, else info",
        ),
    ] = None,
) -> None:
    """Score every pair: PSNR, MS-SSIM, LPIPS and discriminator loss, whole image and ROI.

    Exit code 0: every row is accounted for. 2: unusable arguments. 3: too many rows failed.
    """
    if (demo is None) == (manifest is None) or (manifest is None) != (output is None):
        raise typer.BadParameter("give --manifest and --output, or --demo alone")
    log_to_stderr(log_level)
    settings = Settings(lpips_, saliency_, discriminator_, roi_weighting, precision)
    options = Options(
        device=device,
        actors=actors,
        gpus_per_actor=gpus_per_actor,
        batch=batch,
        shard_size=shard_size,
        max_pixels=max_pixels,
        limit=limit,
        weights_dir=weights_dir,
        allow=tuple(allow_prefix or ()),
    )
    if demo is not None:
        # What draws takes two seconds to import, which no other job should wait for.
        from roi_ray.report.demo import make_demo, report_demo

        manifest, output = make_demo(demo)
    assert manifest is not None and output is not None
    summary = score_manifest(manifest, output, settings, options)
    print_summary(summary)
    if demo is not None:
        report_demo(demo, settings, weights_dir)
    if summary.failed / summary.rows > fail_above:
        print(f"error: more than --fail-above {fail_above} of the rows failed", file=sys.stderr)
        raise typer.Exit(EXIT_TOO_MANY_FAILED)


def print_summary(summary: Summary) -> None:
    """Say what came of the job."""
    print(
        f"{summary.rows} pairs, {summary.failed} failed; {summary.scored} scored now "
        f"in {summary.seconds:.1f} s -> {summary.output}"
    )
    for text in summary.examples:
        print(f"  {escape_line(text)}")
