"""Train a patch discriminator on a sweep: originals against decoded images, on Ray Train.

python jobs/train_discriminator.py --manifest sweep/manifest.parquet --output FILE.safetensors
"""

import time
from dataclasses import asdict
from functools import partial
from typing import Annotated

import torch
import typer
from rich.console import Console
from safetensors.torch import save

from roi_ray.cli.exits import exit_with_message
from roi_ray.cli.options import RUNS_HELP
from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.io.manifest import read_manifest
from roi_ray.models.discriminator import load_discriminator
from roi_ray.models.loader import check_weights_output
from roi_ray.runtime.train_loop import default_checkpoint_folder, fit, make_run_name
from roi_ray.training import discriminator_evaluation
from roi_ray.training.discriminator import (
    TRAINING_VERSION,
    DiscriminatorTraining,
    to_safetensors_state,
)
from roi_ray.training.files import read_image
from roi_ray.training.recipes import DiscriminatorRecipe
from roi_ray.training.split import file_stem, split_held_out
from roi_ray.training.windows import hash_image_files, read_originals


@exit_with_message
def main(
    *,
    manifest: Annotated[str, typer.Option(help="Of a sweep: reference, distorted.")],
    output: Annotated[
        str, typer.Option(help="The .safetensors file to write; a picture goes beside it.")
    ],
    allow_prefix: Annotated[
        list[str] | None,
        typer.Option(help="Another folder than the manifest's that images may be in."),
    ] = None,
    generator: Annotated[
        bool, typer.Option(help="Train a restorer against D, as in a GAN codec.")
    ] = True,
    steps: Annotated[
        int, typer.Option(min=1, help="Steps of the optimiser.")
    ] = DiscriminatorRecipe.steps,
    batch: Annotated[
        int, typer.Option(min=1, help="Originals a step.")
    ] = DiscriminatorRecipe.batch_size,
    order: Annotated[
        float, typer.Option(min=0, help="Weight of the ranking loss.")
    ] = DiscriminatorRecipe.ranking_weight,
    seed: Annotated[int, typer.Option(help="Of the start and of what is drawn.")] = 0,
    held_out: Annotated[int, typer.Option(min=1, help="References never trained on.")] = 40,
    runs: Annotated[str | None, typer.Option(help=RUNS_HELP)] = None,
    every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 50,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share a batch.")] = 1,
    gpu: Annotated[bool, typer.Option("--gpu", help="One GPU a worker.")] = False,
) -> None:
    """Train D; report on held-out references how well it tells originals from decoded images."""
    began = time.monotonic()
    recipe = DiscriminatorRecipe(
        steps=steps, batch_size=batch, generator=generator, ranking_weight=order, seed=seed
    )
    check_weights_output(output)
    if batch % workers:
        raise ManifestError(f"a --batch of {batch} cannot be divided among {workers} workers")
    rows = read_manifest(manifest)
    found = read_originals(rows, allow_prefix or ())
    originals = {original.name: original for original in found}
    training, held = split_held_out(originals, held_out, key=file_stem)
    if not training:
        raise ManifestError(f"{manifest} has no more than {held_out} references to hold out")
    typer.echo(f"{len(training)} references to train on, {len(held)} held out")
    state = fit(
        partial(
            DiscriminatorTraining,
            [originals[name] for name in training],
            recipe,
            "cuda" if gpu else "cpu",
        ),
        folder=runs or default_checkpoint_folder(output),
        name=make_run_name(
            "discriminator",
            TRAINING_VERSION,
            [asdict(recipe), rows.sha256, hash_image_files(found), held_out],
        ),
        workers=workers,
        use_gpu=gpu,
        checkpoint_every=every,
    )
    data = save(to_safetensors_state(state))
    storage.write_bytes(output, data)
    unseen = [originals[name] for name in held]
    # The file is judged, not what it was made from: fp16.
    written, weights = load_discriminator(storage.absolute(output))
    apart = discriminator_evaluation.measure_auc(written, unseen)
    pixels = (read_image(original.uri) for original in unseen)
    untouched, rungs = discriminator_evaluation.measure_d_loss_by_quality(written, pixels)
    picture = output.removesuffix(".safetensors") + ".png"
    storage.write_bytes(picture, discriminator_evaluation.draw_d_loss_curves(untouched, rungs))
    typer.echo("held out, original against decoded:")
    Console(width=120).print(discriminator_evaluation.to_auc_table(apart))
    typer.echo(f"held out, mean d_loss: original {untouched:.3f}")
    for codec, ladder in rungs.items():
        typer.echo(f"  {codec}: " + "  ".join(f"q{r.quality} {r.d_loss:.3f}" for r in ladder))
    typer.echo(
        f"{output}: {len(data)} bytes, SHA-256 {weights.sha256}, "
        f"{time.monotonic() - began:.0f} s, torch {torch.__version__}; {picture}"
    )
