"""Have a strong saliency network map further images for `jobs/train_saliency.py --more`.

python jobs/label_saliency.py --teacher ISNET.onnx --images DIR --maps DIR --output VIEWS
"""

import time
from collections.abc import Collection, Sequence
from functools import partial
from typing import Annotated

import typer

from roi_ray.cli.exits import exit_with_message
from roi_ray.errors import ManifestError
from roi_ray.io import storage
from roi_ray.training.labels import (
    list_labelled_names,
    record_teacher,
    write_labelled_view,
    write_views_table,
)
from roi_ray.training.pairs import list_files_by_name
from roi_ray.training.recipes import ISNET_SHA256
from roi_ray.training.split import split_held_out
from roi_ray.training.teacher import Teacher
from roi_ray.training.view_sources import SourceFiles
from roi_ray.training.views import View, plan_views, render_view

_EVERY = 50


@exit_with_message
def main(
    *,
    teacher: Annotated[str, typer.Option(help="ONNX file of the network that is asked.")],
    images: Annotated[str, typer.Option(help="Folder of images of jobs/train_saliency.py.")],
    maps: Annotated[str, typer.Option(help="Folder of their maps.")],
    output: Annotated[str, typer.Option(help="Folder; what is there is not done again.")],
    photographs: Annotated[
        list[str] | None, typer.Option(help="Folder of further photographs; repeatable.")
    ] = None,
    cut_outs: Annotated[
        list[str] | None,
        typer.Option(help="Folder of objects to paste: images with an alpha channel; repeatable."),
    ] = None,
    crops: Annotated[int, typer.Option(min=0, help="Parts of photographs to label.")] = 700,
    composites: Annotated[
        int, typer.Option(min=0, help="Photographs with objects pasted in to label.")
    ] = 1000,
    seed: Annotated[int, typer.Option(help="Of what is cropped and pasted.")] = 0,
    held_out: Annotated[
        int, typer.Option(min=1, help="Images left alone, as in jobs/train_saliency.py.")
    ] = 40,
    sha256: Annotated[str, typer.Option(help="What the teacher's file must be.")] = ISNET_SHA256,
) -> None:
    """Label photographs, then crops and composites of them and of the training images."""
    ask = Teacher(teacher, sha256)
    # What a view was made of is told by names, so no two images may share one.
    uris = list_files_by_name(images, *(photographs or []))
    objects = list_files_by_name(*(cut_outs or []))
    if both := sorted(set(uris) & set(objects)):
        raise ManifestError(f"{uris[both[0]]} and {objects[both[0]]} have the same name")
    training, held = split_held_out(list_files_by_name(images), held_out)
    further = [name for name in uris if name not in {*training, *held}]
    typer.echo(f"{len(training)} training images, {len(further)} further photographs")
    record_teacher(output, sha256)
    whole = [View(name, "whole", (name,)) for name in further]
    label_all = partial(_label_all, output, ask, list_labelled_names(output), time.monotonic())
    label_all(whole, SourceFiles(uris, maps={}), "photographs")
    # From here on a photograph is as large as its whole view, which has a map.
    seen, mapped = (
        list_files_by_name(storage.join(output, folder)) for folder in ("images", "maps")
    )
    material = SourceFiles(
        {name: uris[name] for name in training} | {name: seen[name] for name in further},
        list_files_by_name(maps) | {name: mapped[name] for name in further},
        objects,
    )
    planned = plan_views(material.list_names(), crops, composites, seed)
    write_views_table(output, [*whole, *planned])
    label_all(planned, material, "views")


def _label_all(
    output: str,
    ask: Teacher,
    done: Collection[str],
    began: float,
    views: Sequence[View],
    material: SourceFiles,
    what: str,
) -> None:
    for number, view in enumerate(views, 1):
        if view.name not in done:
            write_labelled_view(output, view, partial(render_view, view, material), ask)
        if number % _EVERY == 0 or number == len(views):
            typer.echo(f"{number}/{len(views)} {what}  {time.monotonic() - began:.0f} s")
