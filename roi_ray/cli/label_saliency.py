"""`roi-ray label-saliency`: make training maps with a strong saliency network."""

import time
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_with_message
from roi_ray.errors import UsageError
from roi_ray.training.recipes import ISNET_SHA256

if TYPE_CHECKING:
    from roi_ray.training.teacher import Teacher
    from roi_ray.training.view_sources import SourceFiles
    from roi_ray.training.views import View

_REPORT_EVERY = 50


@exit_with_message
def main(
    *,
    teacher: Annotated[
        str, typer.Option(help="ONNX file of the strong network that makes the maps.")
    ],
    images: Annotated[
        str, typer.Option(help="Folder or s3:// prefix of the images of `roi-ray train-saliency`.")
    ],
    maps: Annotated[str, typer.Option(help="Folder or s3:// prefix of the maps of these images.")],
    output: Annotated[
        str,
        typer.Option(
            help="Folder or s3:// prefix for the new images and maps, for `train-saliency --more`."
        ),
    ],
    photographs: Annotated[
        list[str] | None,
        typer.Option(help="Folder of further photographs; repeatable.", show_default=False),
    ] = None,
    cut_outs: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder of objects to paste: images with an alpha channel; repeatable.",
            show_default=False,
        ),
    ] = None,
    crops: Annotated[
        int, typer.Option(min=0, help="Number of crops of photographs to label.")
    ] = 700,
    composites: Annotated[
        int, typer.Option(min=0, help="Number of photographs with pasted objects to label.")
    ] = 1000,
    held_out: Annotated[
        int,
        typer.Option(
            min=1,
            help="Images that are not used, because `roi-ray train-saliency` holds them out.",
        ),
    ] = 40,
    seed: cli.Seed = 0,
    sha256: Annotated[
        str,
        typer.Option(
            help="SHA-256 that the teacher's file must have.", show_default="that of IS-Net"
        ),
    ] = ISNET_SHA256,
) -> None:
    """Make more training data for train-saliency: a strong network maps photographs.

    Labels whole photographs, then crops and composites of them and of the training images. The
    same command resumes an interrupted run. Needs the extra `train`.

    Exit codes: 0 if all maps are written; 2 if the arguments, the teacher, an image or the output
    cannot be used.
    """
    from roi_ray.io import storage
    from roi_ray.training.labels import (
        list_labelled_names,
        record_teacher,
        write_views_table,
    )
    from roi_ray.training.pairs import list_files_by_name
    from roi_ray.training.split import split_held_out
    from roi_ray.training.teacher import Teacher
    from roi_ray.training.view_sources import SourceFiles
    from roi_ray.training.views import View, plan_views

    network = Teacher(teacher, sha256)
    # A view records the names of its sources, so no two images may have the same name.
    uris = list_files_by_name(images, *(photographs or []))
    objects = list_files_by_name(*(cut_outs or []))
    if duplicates := sorted(set(uris) & set(objects)):
        name = duplicates[0]
        raise UsageError(f"{uris[name]} and {objects[name]} have the same name")
    training, held_out_names = split_held_out(list_files_by_name(images), held_out)
    further = [name for name in uris if name not in {*training, *held_out_names}]
    print(f"{len(training)} training images, {len(further)} further photographs", flush=True)
    record_teacher(output, sha256)
    whole = [View(name, "whole", (name,)) for name in further]
    label_all = partial(_label_all, output, network, list_labelled_names(output), time.monotonic())
    label_all(whole, SourceFiles(uris, maps={}), "photographs")
    # Crops and composites are made from the labelled photographs, at the size of their maps.
    labelled, mapped = (
        list_files_by_name(storage.join(output, folder)) for folder in ("images", "maps")
    )
    sources = SourceFiles(
        {name: uris[name] for name in training} | {name: labelled[name] for name in further},
        list_files_by_name(maps) | {name: mapped[name] for name in further},
        objects,
    )
    planned = plan_views(sources.list_names(), crops, composites, seed)
    write_views_table(output, [*whole, *planned])
    label_all(planned, sources, "views")


def _label_all(
    output: str,
    network: "Teacher",
    done: Collection[str],
    began: float,
    views: "Sequence[View]",
    sources: "SourceFiles",
    label: str,
) -> None:
    from roi_ray.training.labels import write_labelled_view
    from roi_ray.training.views import render_view

    for number, view in enumerate(views, 1):
        if view.name not in done:
            write_labelled_view(output, view, partial(render_view, view, sources), network)
        if number % _REPORT_EVERY == 0 or number == len(views):
            print(f"{number}/{len(views)} {label}  {time.monotonic() - began:.0f} s", flush=True)
