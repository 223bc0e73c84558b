"""Predict which of two decoded images people prefer, for each comparison of a manifest.

python jobs/compare.py --comparisons choices.parquet --output compared/
"""

import sys
from typing import Annotated

import typer

from roi_ray.cli.exits import EXIT_TOO_MANY_FAILED, exit_with_message
from roi_ray.pipeline.options import DEFAULT_SHARD_SIZE, Options
from roi_ray.preference.compare import compare
from roi_ray.runtime.cluster import Device
from roi_ray.runtime.logs import escape_line, log_to_stderr
from roi_ray.settings import DEFAULT_LPIPS, DEFAULT_PREFERENCE_MODEL, LpipsName, Settings, Weighting

_NONE = "none"


@exit_with_message
def main(
    *,
    comparisons: Annotated[
        str, typer.Option(help="Parquet, CSV or JSON Lines with reference, a, b.")
    ],
    output: Annotated[str, typer.Option(help="Folder or s3:// prefix for the result.")],
    scores: Annotated[
        str | None,
        typer.Option(
            help="An output of jobs/score.py to take instead of scoring; --lpips and the like are "
            "then what they were there."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="The packaged model, a file of jobs/train.py, or none: features alone."),
    ] = DEFAULT_PREFERENCE_MODEL,
    lpips_: Annotated[LpipsName, typer.Option("--lpips", help="LPIPS network.")] = DEFAULT_LPIPS,
    roi_weighting: Annotated[Weighting, typer.Option(help="See jobs/score.py.")] = "mean",
    weights_dir: Annotated[str | None, typer.Option(help="See jobs/score.py.")] = None,
    device: Annotated[Device, typer.Option(help="See jobs/score.py.")] = "auto",
    actors: Annotated[int | None, typer.Option(min=1, help="Scoring actors.")] = None,
    allow_prefix: Annotated[
        list[str] | None,
        typer.Option(help="Another folder that images may be in; repeatable."),
    ] = None,
    shard_size: Annotated[int, typer.Option(min=1, help="Pairs a file.")] = DEFAULT_SHARD_SIZE,
    fail_above: Annotated[
        float, typer.Option(min=0, max=1, help="Exit with 3 if a larger share has no features.")
    ] = 0.1,
) -> None:
    """Add sixteen features and P(people prefer a) to comparisons.

    Exit code 0: done. 2: unusable arguments, weights or model. 3: too many comparisons
    without features; they are in the output all the same, each with its error.
    """
    log_to_stderr()
    settings = Settings(lpips=lpips_, roi_weighting=roi_weighting)
    allow = tuple(allow_prefix or ())
    options = Options(device, actors, shard_size=shard_size, weights_dir=weights_dir, allow=allow)
    done = compare(
        comparisons,
        output,
        scores=scores,
        model=None if model == _NONE else model,
        settings=settings,
        options=options,
    )
    print(f"{done.rows} comparisons, {done.failed} without features -> {done.output}")
    for text in done.errors:
        print(f"  {escape_line(text)}")
    if done.agreement is not None:
        print(f"the prediction agrees with {100 * done.agreement:.1f} % of the answers")
    if done.failed / done.rows > fail_above:
        print(f"error: more than --fail-above {fail_above} have no features", file=sys.stderr)
        raise typer.Exit(EXIT_TOO_MANY_FAILED)
