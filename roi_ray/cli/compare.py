"""`roi-ray compare`: predict which of two decoded images people prefer."""

from typing import Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_if_too_many_failed, exit_with_message
from roi_ray.pipeline.options import DEFAULT_SHARD_SIZE, Options
from roi_ray.runtime.logs import escape_line, log_to_stderr
from roi_ray.settings import (
    DEFAULT_DISCRIMINATOR,
    DEFAULT_LPIPS,
    DEFAULT_PREFERENCE_MODEL,
    DEFAULT_SALIENCY,
    MAX_PIXELS,
    Settings,
)

_NO_MODEL = "none"


@exit_with_message
def main(
    *,
    comparisons: Annotated[
        str,
        typer.Option(
            help="Comparisons: a Parquet, CSV or JSON Lines file, a folder of them, or an s3:// "
            "URI, with columns reference, a and b."
        ),
    ],
    output: Annotated[
        str, typer.Option(help="Folder or s3:// prefix for comparisons.parquet and the scores.")
    ],
    scores: Annotated[
        str | None,
        typer.Option(
            help="Output of `roi-ray score` to take the features from, instead of scoring. The "
            "networks and settings are then those of the scores.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Preference model: the packaged one, a file that `roi-ray train` wrote, or none "
            "for features alone, to train on. The metrics that it needs are measured in any case; "
            "with none, those that `roi-ray train` needs."
        ),
    ] = DEFAULT_PREFERENCE_MODEL,
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
    """Add features, and the probability that people prefer a to b, to comparisons.

    Every distinct image is scored once, with the metrics that the model needs. The same command
    resumes an interrupted run.

    Exit codes: 0 if the comparisons are written; 2 if the arguments, the comparisons, the weights
    or the output cannot be used; 3 if the comparisons are written but more of them than
    --fail-above have an error and no features.
    """
    from roi_ray.preference.compare import compare
    from roi_ray.preference.comparisons.regions import describe_substitution

    log_to_stderr(log_level)
    result = compare(
        comparisons,
        output,
        scores=scores,
        model=None if model == _NO_MODEL else model,
        settings=Settings(
            lpips, saliency, discriminator, roi_weighting, precision, tuple(metrics or ())
        ),
        options=Options(
            engine=engine,
            device=device,
            actors=actors,
            gpus_per_actor=gpus_per_actor,
            batch=batch,
            shard_size=shard_size,
            max_pixels=max_pixels,
            weights_dir=weights_dir,
            allow_prefixes=tuple(allow_prefix or ()),
            allow_slow_precision=allow_slow_precision,
        ),
    )
    print(f"{result.rows} comparisons, {result.failed} without features -> {result.output}")
    for text in result.errors:
        print(f"  {escape_line(text)}")
    if result.without_region:
        print(describe_substitution(result.without_region))
    if result.agreement is not None:
        print(f"the prediction agrees with {100 * result.agreement:.1f} % of the answers")
    exit_if_too_many_failed(result.failed, result.rows, fail_above, "have no features")
