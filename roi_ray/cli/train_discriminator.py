"""`roi-ray train-discriminator`: train a patch discriminator on a sweep, on Ray Train."""

import time
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_with_message
from roi_ray.errors import ManifestError, UsageError
from roi_ray.training.recipes import DiscriminatorRecipe


@exit_with_message
def main(
    *,
    manifest: Annotated[
        str, typer.Option(help="Manifest of a sweep, with columns reference and distorted.")
    ],
    output: Annotated[
        str,
        typer.Option(
            help="The .safetensors file to write: a path or s3:// URI. A .png with the curves of "
            "the report goes beside it."
        ),
    ],
    allow_prefix: cli.AllowPrefix = None,
    generator: Annotated[
        bool,
        typer.Option(help="Also train a restorer against the discriminator, as GAN codecs do."),
    ] = True,
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = DiscriminatorRecipe.steps,
    batch: Annotated[
        int, typer.Option(min=1, help="Originals per step; a multiple of --workers.")
    ] = DiscriminatorRecipe.batch_size,
    order: Annotated[
        float,
        typer.Option(min=0, help="Weight of the loss that ranks decoded images by quality."),
    ] = DiscriminatorRecipe.ranking_weight,
    held_out: cli.HeldOut = 40,
    seed: cli.Seed = 0,
    runs: cli.Runs = None,
    every: cli.Every = 50,
    workers: cli.Workers = 1,
    gpu: cli.Gpu = False,
) -> None:
    """Train the discriminator to tell originals from decoded images.

    Reports how well it does on held-out originals.

    Exit codes: 0 if the weights are written; 2 if the arguments, the manifest, an image or the
    output cannot be used.
    """
    recipe = DiscriminatorRecipe(
        steps=steps, batch_size=batch, generator=generator, ranking_weight=order, seed=seed
    )
    if batch % workers:
        raise UsageError(f"a --batch of {batch} cannot be divided among {workers} workers")

    import torch
    from rich.console import Console
    from safetensors.torch import save

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
    from roi_ray.training.split import file_stem, split_held_out
    from roi_ray.training.windows import hash_image_files, read_originals

    began = time.monotonic()
    check_weights_output(output)
    rows = read_manifest(manifest)
    images = read_originals(rows, allow_prefix or ())
    originals = {original.name: original for original in images}
    training, held_out_names = split_held_out(originals, held_out, key=file_stem)
    if not training:
        raise ManifestError(f"{manifest}: --held-out {held_out} leaves no references to train on")
    print(f"{len(training)} references to train on, {len(held_out_names)} held out", flush=True)
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
            [asdict(recipe), rows.sha256, hash_image_files(images), held_out],
        ),
        workers=workers,
        use_gpu=gpu,
        checkpoint_every=every,
    )
    data = save(to_safetensors_state(state))
    storage.write_bytes(output, data)
    unseen = [originals[name] for name in held_out_names]
    # The report is about the file as written, in fp16.
    written, weights = load_discriminator(storage.absolute(output))
    written.to(memory_format=torch.channels_last)
    auc = discriminator_evaluation.measure_auc(written, unseen)
    pixels = (read_image(original.uri) for original in unseen)
    original_loss, curves = discriminator_evaluation.measure_d_loss_by_quality(written, pixels)
    picture = output.removesuffix(".safetensors") + ".png"
    storage.write_bytes(picture, discriminator_evaluation.draw_d_loss_curves(original_loss, curves))
    print("held out, original against decoded:")
    Console(width=120).print(discriminator_evaluation.to_auc_table(auc))
    print(f"held out, mean d_loss: original {original_loss:.3f}")
    for codec, points in curves.items():
        print(f"  {codec}: " + "  ".join(f"q{p.quality:g} {p.d_loss:.3f}" for p in points))
    print(
        f"{output}: {len(data)} bytes, SHA-256 {weights.sha256}, "
        f"{time.monotonic() - began:.0f} s, torch {torch.__version__}; {picture}"
    )
