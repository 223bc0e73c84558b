"""`roi-ray train`: train a preference model on human choices, on Ray Train."""

import time
from typing import Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_with_message
from roi_ray.preference.model.recipes import DEFAULT_RECIPE, find_recipe


@exit_with_message
def main(
    *,
    comparisons: Annotated[
        str,
        typer.Option(help="Comparisons with labels and features: the output of `roi-ray compare`."),
    ],
    output: Annotated[
        str, typer.Option(help="The .safetensors file to write: a path or s3:// URI.")
    ],
    features: Annotated[
        str,
        typer.Option(
            help="Features of an image that the model sees: roi (all of the recipe), basic (those "
            "of the whole image), or names of columns of the scores, separated by commas."
        ),
    ] = "roi",
    recipe: Annotated[
        str, typer.Option(help=f"Network and its training. {cli.RECIPE_HELP}")
    ] = DEFAULT_RECIPE,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Epochs of the recipe paper; for the letter of the paper: 50.",
            show_default="as many as predict held-out references best",
        ),
    ] = None,
    seed: cli.Seed = 0,
    runs: cli.Runs = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Training processes, which share the comparisons of each step.",
            show_default="one per 100,000 comparisons",
        ),
    ] = None,
    gpu: cli.Gpu = False,
) -> None:
    """Train a model that predicts which of two images people prefer.

    Exit codes: 0 if the model is written; 2 if the arguments, the comparisons or the output cannot
    be used.
    """
    from roi_ray.io import storage
    from roi_ray.models.loader import check_weights_output
    from roi_ray.preference.comparisons.examples import parse_features
    from roi_ray.preference.comparisons.table import read_comparisons
    from roi_ray.preference.model.preference_model import (
        load_preference_model,
        save_preference_model,
    )
    from roi_ray.preference.training.distributed import train_model
    from roi_ray.runtime.train_loop import default_checkpoint_folder

    began = time.monotonic()
    check_weights_output(output)
    settings = find_recipe(recipe, epochs)
    model = train_model(
        read_comparisons(comparisons),
        parse_features(features, settings.features),
        recipe,
        runs=runs or default_checkpoint_folder(output),
        workers=workers,
        use_gpu=gpu,
        seed=seed,
        epochs=epochs,
    )
    save_preference_model(output, model)
    identity = load_preference_model(storage.absolute(output)).identity
    print(
        f"{output}: recipe {recipe}, {len(model.features)} features per side, "
        f"SHA-256 {identity['sha256']}, {time.monotonic() - began:.0f} s"
    )
