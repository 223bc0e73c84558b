"""Train the packaged patch discriminator on a sweep: originals against decoded images.

python jobs/train_discriminator.py --manifest sweep/manifest.parquet --output FILE.safetensors
"""

import time
from typing import Annotated

import torch
import typer
from safetensors.torch import save

from roi_ray import storage
from roi_ray.errors import ManifestError, RoiRayError
from roi_ray.images import decode
from roi_ray.models.discriminator import load_discriminator
from roi_ray.training import discriminator, realism
from roi_ray.training.split import split

_QUALITIES = (90, 80, 70, 60, 50, 40, 30, 20, 10)


def main(
    *,
    manifest: Annotated[str, typer.Option(help="Of a sweep: reference, distorted.")],
    output: Annotated[str, typer.Option(help="The .safetensors file to write.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 1500,
    seed: Annotated[int, typer.Option(help="Of the start and of what is drawn.")] = 0,
    held_out: Annotated[int, typer.Option(min=1, help="References never trained on.")] = 30,
) -> None:
    """Train D; report on held-out references how well it tells originals from decoded images."""
    began = time.monotonic()
    try:
        originals = {original.name: original for original in discriminator.read_originals(manifest)}
        training, held = split(originals, held_out)
        if not training:
            raise ManifestError(f"{manifest} has no more than {held_out} references to hold out")
        typer.echo(f"{len(training)} references to train on, {len(held)} held out")
        network = discriminator.train(
            [originals[name] for name in training],
            steps=steps,
            seed=seed,
            report=lambda line: typer.echo(f"{line}  {time.monotonic() - began:.0f} s"),
        )
        data = save(discriminator.packed(network))
        storage.write_bytes(output, data)
        unseen = [originals[name] for name in held]
        # The file is judged, not what it was made from: fp16.
        written, identity = load_discriminator(storage.absolute(output))
        apart = realism.tell_apart(written, unseen)
        pixels = (decode(storage.read_bytes(original.uri)) for original in unseen)
        ladder = realism.d_loss_by_quality(written, pixels, _QUALITIES)
    except RoiRayError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo("held out, AUC: " + _line(apart))
    typer.echo("held out, mean d_loss as JPEG: " + _line(ladder))
    typer.echo(
        f"{output}: {len(data)} bytes, SHA-256 {identity.sha256}, "
        f"{time.monotonic() - began:.0f} s, torch {torch.__version__}"
    )


def _line(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())


if __name__ == "__main__":
    typer.run(main)
