"""Train the packaged saliency network on images and a stronger network's maps of them.

python jobs/train_saliency.py --images DIR --maps DIR --output FILE.safetensors
"""

import time
from dataclasses import asdict
from functools import partial
from typing import Annotated

import torch
import typer
from safetensors.torch import save

from roi_ray.cli.exits import exit_with_message
from roi_ray.cli.options import RUNS_HELP
from roi_ray.imaging.decode import decode_image
from roi_ray.io import storage
from roi_ray.models.loader import check_weights_output
from roi_ray.models.saliency import load_saliency
from roi_ray.preference.comparisons import read_comparisons
from roi_ray.report.figure import draw_mask_figure
from roi_ray.runtime.train_loop import default_checkpoint_folder, fit, make_run_name
from roi_ray.sweep import photographs
from roi_ray.training.agreement import blur_mask
from roi_ray.training.choice_accuracy import make_mask_functions, measure_choice_accuracy
from roi_ray.training.files import to_chw_tensor
from roi_ray.training.imagenet import load_efficientnet_lite0
from roi_ray.training.labels import hash_views_folder, list_training_views, read_training_pairs
from roi_ray.training.pairs import hash_pairs, read_pairs
from roi_ray.training.recipes import SaliencyRecipe
from roi_ray.training.saliency import TRAINING_VERSION, SaliencyTraining, to_safetensors_state
from roi_ray.training.saliency_evaluation import evaluate_saliency, predict_mask
from roi_ray.training.split import split_held_out


@exit_with_message
def main(
    *,
    images: Annotated[str, typer.Option(help="Folder of images.")],
    maps: Annotated[str, typer.Option(help="Folder of 8-bit maps of the same names.")],
    output: Annotated[
        str, typer.Option(help="The .safetensors file to write; a picture goes beside it.")
    ],
    more: Annotated[
        list[str] | None,
        typer.Option(help="Folder of jobs/label_saliency.py, to train on as well; repeatable."),
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the training images.")
    ] = SaliencyRecipe.epochs,
    seed: Annotated[int, typer.Option(help="Of the order and the augmentation.")] = 0,
    held_out: Annotated[int, typer.Option(min=1, help="Images never trained on.")] = 40,
    batch: Annotated[int, typer.Option(min=2, help="Images a step.")] = SaliencyRecipe.batch_size,
    gpu: Annotated[bool, typer.Option("--gpu", help="Train on a GPU.")] = False,
    runs: Annotated[str | None, typer.Option(help=RUNS_HELP)] = None,
    every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 50,
    comparisons: Annotated[
        str | None,
        typer.Option(help="Human choices, to see whether MS-SSIM under the mask predicts them."),
    ] = None,
) -> None:
    """Distil a saliency network's maps into the packaged one; report on held-out images."""
    began = time.monotonic()
    recipe = SaliencyRecipe(epochs=epochs, batch_size=batch, seed=seed)
    check_weights_output(output)
    given = read_comparisons(comparisons) if comparisons else None
    pairs = {pair.name: pair for pair in read_pairs(images, maps)}
    training, held = split_held_out(pairs, held_out)
    typer.echo(f"{len(training)} images to train on, {len(held)} held out")
    folders = (storage.absolute(images), storage.absolute(maps))
    further = [storage.absolute(folder) for folder in more or []]
    views = [view.name for folder in further for view in list_training_views(folder, held)]
    if views:
        typer.echo(f"{len(views)} further views, none with a held-out part")
    content = [hash_pairs([pairs[name] for name in training]), *map(hash_views_folder, further)]
    state = fit(
        partial(_make, *folders, training, further, recipe, "cuda" if gpu else "cpu"),
        use_gpu=gpu,
        folder=runs or default_checkpoint_folder(output),
        name=make_run_name(
            "saliency", TRAINING_VERSION, [*folders, *views, training, *content, asdict(recipe)]
        ),
        checkpoint_every=every,
    )
    data = save(to_safetensors_state(state))
    storage.write_bytes(output, data)
    # The file is judged, not what it was made from: fp16 and folded.
    written, identity = load_saliency(storage.absolute(output))
    result = evaluate_saliency(written, [pairs[name] for name in held])
    picture = output.removesuffix(".safetensors") + ".png"
    photos = {name: decode_image(path.read_bytes()) for name, path in photographs().items()}
    masks = {
        name: blur_mask(predict_mask(written, to_chw_tensor(pixels)))
        for name, pixels in photos.items()
    }
    storage.write_bytes(picture, draw_mask_figure(photos, masks))
    judged = measure_choice_accuracy(given, make_mask_functions(written)) if given else {}
    typer.echo(
        f"held out, {result.images} images: MAE {result.mae:.4f}  max-F {result.max_f:.4f} "
        f"({result.empty} images without an object left out)  "
        f"ROI correlation {result.roi_correlation:.4f} "
        f"(per image {result.roi_correlation_per_image:.4f})"
    )
    for name, share in judged.items():
        typer.echo(
            f"roi_ms_ssim under {name}: {100 * share.value:.2f} % of the answers "
            f"({100 * share.low:.1f} .. {100 * share.high:.1f})"
        )
    typer.echo(
        f"{output}: {len(data)} bytes, SHA-256 {identity.sha256}, "
        f"{time.monotonic() - began:.0f} s, torch {torch.__version__}; {picture}"
    )


def _make(
    images: str, maps: str, names: list[str], more: list[str], recipe: SaliencyRecipe, device: str
) -> SaliencyTraining:
    pairs = read_training_pairs(images, maps, names, more)
    return SaliencyTraining(pairs, load_efficientnet_lite0(), recipe, device)
