"""Train the packaged saliency network on images and a stronger network's maps of them.

python jobs/train_saliency.py --images DIR --maps DIR --output FILE.safetensors
"""

import time
from typing import Annotated

import torch
import typer
from safetensors.torch import save

from roi_ray import storage
from roi_ray.errors import RoiRayError
from roi_ray.models.saliency import load_saliency
from roi_ray.training import saliency
from roi_ray.training.imagenet import efficientnet_lite0
from roi_ray.training.split import split


def main(
    *,
    images: Annotated[str, typer.Option(help="Folder of images.")],
    maps: Annotated[str, typer.Option(help="Folder of 8-bit maps of the same names.")],
    output: Annotated[str, typer.Option(help="The .safetensors file to write.")],
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 60,
    seed: Annotated[int, typer.Option(help="Of the order and the augmentation.")] = 0,
    held_out: Annotated[int, typer.Option(min=1, help="Images never trained on.")] = 40,
    batch: Annotated[int, typer.Option(min=2, help="Images a step.")] = 8,
) -> None:
    """Distil a saliency network's maps into the packaged one; report on held-out images."""
    began = time.monotonic()
    try:
        pairs = {pair.name: pair for pair in saliency.read_pairs(images, maps)}
        training, held = split(pairs, held_out)
        typer.echo(f"{len(training)} images to train on, {len(held)} held out")
        network = saliency.train(
            [pairs[name] for name in training],
            start=efficientnet_lite0(),
            epochs=epochs,
            batch=batch,
            seed=seed,
            report=lambda line: typer.echo(f"{line}  {time.monotonic() - began:.0f} s"),
        )
        data = save(saliency.packed(network))
        storage.write_bytes(output, data)
        # The file is judged, not what it was made from: fp16 and folded.
        written, identity = load_saliency(storage.absolute(output))
        result = saliency.evaluate(written, [pairs[name] for name in held])
    except RoiRayError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(
        f"held out, {result.images} images: MAE {result.mae:.4f}  max-F {result.max_f:.4f}  "
        f"ROI correlation {result.roi_correlation:.4f} "
        f"(per image {result.roi_correlation_per_image:.4f})"
    )
    typer.echo(
        f"{output}: {len(data)} bytes, SHA-256 {identity.sha256}, "
        f"{time.monotonic() - began:.0f} s, torch {torch.__version__}"
    )


if __name__ == "__main__":
    typer.run(main)
