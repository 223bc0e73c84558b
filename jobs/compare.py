"""Predict which of two decoded images people prefer, for each comparison of a manifest.

python jobs/compare.py --comparisons choices.parquet --output compared/
"""

import sys
from typing import Annotated

import typer

from roi_ray.errors import RoiRayError
from roi_ray.metrics.roi import Weighting
from roi_ray.models import lpips
from roi_ray.pipeline.logs import on_stderr
from roi_ray.pipeline.run import DEFAULT_SHARD_SIZE, Options
from roi_ray.preference.compare import compare
from roi_ray.preference.model import DEFAULT
from roi_ray.scorer import Settings

_NONE = "none"


def main(
    *,
    comparisons: Annotated[
        str, typer.Option(help="Parquet, CSV or JSON Lines with reference, a, b.")
    ],
    output: Annotated[str, typer.Option(help="Folder or s3:// prefix for the result.")],
    scores: Annotated[
        str | None, typer.Option(help="An output of jobs/score.py to take instead of scoring.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="The packaged model, a file of jobs/train.py, or none: features alone."),
    ] = DEFAULT,
    lpips_: Annotated[
        lpips.LpipsName, typer.Option("--lpips", help="LPIPS network.")
    ] = lpips.DEFAULT,
    roi_weighting: Annotated[Weighting, typer.Option(help="See jobs/score.py.")] = "mean",
    weights_dir: Annotated[str | None, typer.Option(help="See jobs/score.py.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    actors: Annotated[int | None, typer.Option(min=1, help="Scoring actors.")] = None,
    allow_prefix: Annotated[
        list[str] | None,
        typer.Option(help="Another folder that images may be in; repeatable."),
    ] = None,
    shard_size: Annotated[int, typer.Option(min=1, help="Pairs a file.")] = DEFAULT_SHARD_SIZE,
) -> None:
    """Add sixteen features and P(people prefer a) to comparisons."""
    on_stderr()
    settings = Settings(lpips=lpips_, roi_weighting=roi_weighting)
    allow = tuple(allow_prefix or ())
    options = Options(device, actors, shard_size=shard_size, weights_dir=weights_dir, allow=allow)
    try:
        done = compare(
            comparisons,
            output,
            scores=scores,
            model=None if model == _NONE else model,
            settings=settings,
            options=options,
        )
    except RoiRayError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    print(f"{done.rows} comparisons, {done.failed} without features -> {done.output}")
    for text in done.examples:
        print(f"  {text}")
    if done.agree is not None:
        print(f"the prediction agrees with {100 * done.agree:.1f} % of the answers")


if __name__ == "__main__":
    typer.run(main)
