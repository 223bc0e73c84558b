"""Train a preference model on human choices, on Ray Train.

python jobs/train.py --comparisons compared/comparisons.parquet --output model.safetensors
"""

import time
from typing import Annotated

import typer

from roi_ray.cli.exits import exit_with_message
from roi_ray.cli.options import RUNS_HELP
from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.models.loader import check_weights_output
from roi_ray.preference.comparisons import read_comparisons
from roi_ray.preference.distributed import train_model
from roi_ray.preference.examples import parse_features
from roi_ray.preference.model import load_preference_model, save_preference_model
from roi_ray.preference.recipes import DEFAULT_RECIPE, RECIPES
from roi_ray.runtime.train_loop import default_checkpoint_folder


@exit_with_message
def main(
    *,
    comparisons: Annotated[
        str, typer.Option(help="With labels and features, as jobs/compare.py writes them.")
    ],
    output: Annotated[str, typer.Option(help="The .safetensors file to write, local or s3://.")],
    features: Annotated[str, typer.Option(help="basic, roi (all eight), or names, a,b,c.")] = "roi",
    recipe: Annotated[str, typer.Option(help=f"One of {', '.join(RECIPES)}.")] = DEFAULT_RECIPE,
    seed: Annotated[int, typer.Option(help="Of the start and the order.")] = 0,
    runs: Annotated[str | None, typer.Option(help=RUNS_HELP)] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; one per 100,000 comparisons.")
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="One GPU a worker.")] = False,
) -> None:
    """Fit a model that says which of two images people prefer."""
    began = time.monotonic()
    check_weights_output(output)
    if recipe not in RECIPES:
        raise ManifestError(f"unknown recipe {recipe!r}; there are {', '.join(RECIPES)}")
    model = train_model(
        read_comparisons(comparisons),
        parse_features(features),
        recipe,
        runs=runs or default_checkpoint_folder(output),
        workers=workers,
        use_gpu=gpu,
        seed=seed,
    )
    save_preference_model(output, model)
    identity = load_preference_model(storage.absolute(output)).identity
    print(
        f"{output}: recipe {recipe}, {len(model.features)} features a side, "
        f"SHA-256 {identity['sha256']}, {time.monotonic() - began:.0f} s"
    )
