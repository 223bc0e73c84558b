"""`roi-ray train-saliency`: train the saliency network on a stronger network's maps."""

import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_with_message
from roi_ray.training.recipes import SaliencyRecipe

if TYPE_CHECKING:
    from roi_ray.training.saliency import SaliencyTraining


@exit_with_message
def main(
    *,
    images: Annotated[str, typer.Option(help="Folder or s3:// prefix of images.")],
    maps: Annotated[
        str, typer.Option(help="Folder or s3:// prefix of 8-bit saliency maps of the same names.")
    ],
    output: Annotated[
        str,
        typer.Option(
            help="The .safetensors file to write: a path or s3:// URI. A .png with masks of "
            "photographs goes beside it."
        ),
    ],
    more: Annotated[
        list[str] | None,
        typer.Option(
            help="Output of `roi-ray label-saliency` to train on as well; repeatable.",
            show_default=False,
        ),
    ] = None,
    comparisons: Annotated[
        str | None,
        typer.Option(
            help="Human choices, to report how many of them MS-SSIM under the new mask predicts.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the training images.")
    ] = SaliencyRecipe.epochs,
    batch: Annotated[int, typer.Option(min=2, help="Images per step.")] = SaliencyRecipe.batch_size,
    held_out: cli.HeldOut = 40,
    seed: cli.Seed = 0,
    runs: cli.Runs = None,
    every: cli.Every = 50,
    gpu: cli.Gpu = False,
) -> None:
    """Train the small saliency network on images and a stronger network's maps of them.

    Starts from EfficientNet-lite0 and reports the error on held-out images. Needs the extra
    `train`.

    Exit codes: 0 if the weights are written; 2 if the arguments, an image, a map or the output
    cannot be used.
    """
    import torch
    from safetensors.torch import save

    from roi_ray.io import storage
    from roi_ray.models.loader import check_weights_output
    from roi_ray.models.saliency import load_saliency
    from roi_ray.preference.comparisons.table import read_comparisons
    from roi_ray.report.mask_picture import draw_mask_figure
    from roi_ray.report.preference import format_interval
    from roi_ray.runtime.train_loop import default_checkpoint_folder, fit, make_run_name
    from roi_ray.sweep import photographs
    from roi_ray.training.agreement import blur_mask
    from roi_ray.training.choice_accuracy import make_mask_functions, measure_choice_accuracy
    from roi_ray.training.files import read_image, to_chw_tensor
    from roi_ray.training.labels import hash_views_folder, list_training_views
    from roi_ray.training.pairs import hash_pairs, read_pairs
    from roi_ray.training.saliency import TRAINING_VERSION, to_safetensors_state
    from roi_ray.training.saliency_evaluation import evaluate_saliency, predict_mask
    from roi_ray.training.split import split_held_out

    began = time.monotonic()
    recipe = SaliencyRecipe(epochs=epochs, batch_size=batch, seed=seed)
    check_weights_output(output)
    choices = read_comparisons(comparisons) if comparisons else None
    pairs = {pair.name: pair for pair in read_pairs(images, maps)}
    training, held_out_names = split_held_out(pairs, held_out)
    print(f"{len(training)} images to train on, {len(held_out_names)} held out", flush=True)
    folders = (storage.absolute(images), storage.absolute(maps))
    further = [storage.absolute(folder) for folder in more or []]
    views = [
        view.name for folder in further for view in list_training_views(folder, held_out_names)
    ]
    if views:
        print(f"{len(views)} further views, none with a held-out part", flush=True)
    content = [hash_pairs([pairs[name] for name in training]), *map(hash_views_folder, further)]
    state = fit(
        partial(_make_training, *folders, training, further, recipe, "cuda" if gpu else "cpu"),
        use_gpu=gpu,
        folder=runs or default_checkpoint_folder(output),
        name=make_run_name(
            "saliency", TRAINING_VERSION, [*folders, *views, training, *content, asdict(recipe)]
        ),
        checkpoint_every=every,
    )
    data = save(to_safetensors_state(state))
    storage.write_bytes(output, data)
    # The report is about the file as written: in fp16, with batch norm folded.
    written, identity = load_saliency(storage.absolute(output))
    result = evaluate_saliency(written, [pairs[name] for name in held_out_names])
    picture = output.removesuffix(".safetensors") + ".png"
    photos = {name: read_image(str(path)) for name, path in photographs().items()}
    masks = {
        name: blur_mask(predict_mask(written, to_chw_tensor(pixels)))
        for name, pixels in photos.items()
    }
    storage.write_bytes(picture, draw_mask_figure(photos, masks))
    accuracies = measure_choice_accuracy(choices, make_mask_functions(written)) if choices else {}
    print(
        f"held out, {result.images} images: MAE {result.mae:.4f}  max-F {result.max_f:.4f} "
        f"({result.empty} images without an object left out)  "
        f"ROI correlation {result.roi_correlation:.4f} "
        f"(per image {result.roi_correlation_per_image:.4f})"
    )
    for name, accuracy in accuracies.items():
        print(
            f"roi_ms_ssim under {name}: {100 * accuracy.value:.2f} % of the answers "
            f"({format_interval(accuracy)})"
        )
    print(
        f"{output}: {len(data)} bytes, SHA-256 {identity.sha256}, "
        f"{time.monotonic() - began:.0f} s, torch {torch.__version__}; {picture}"
    )


def _make_training(
    images: str, maps: str, names: list[str], more: list[str], recipe: SaliencyRecipe, device: str
) -> "SaliencyTraining":
    from roi_ray.training.imagenet import load_efficientnet_lite0
    from roi_ray.training.labels import read_training_pairs
    from roi_ray.training.saliency import SaliencyTraining

    pairs = read_training_pairs(images, maps, names, more)
    return SaliencyTraining(pairs, load_efficientnet_lite0(), recipe, device)
