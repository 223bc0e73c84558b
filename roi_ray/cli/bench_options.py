"""Options of `roi-ray bench` alone."""

from pathlib import Path
from typing import Annotated

import typer

from roi_ray import settings
from roi_ray.bench.options import SaliencyName

_SERVICE_PANEL = "The service (--service)"
_COMPARE_PANEL = "Regressions (--compare)"
_SCALING_PANEL = "Scaling (--scaling)"

Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="Finish in about a minute: two rounds, the first --per-reference, no memory, no job.",
    ),
]

Service = Annotated[
    bool,
    typer.Option(
        "--service",
        help="Measure `roi-ray serve` instead, under locust, against the bare scorer with as "
        "many threads: 1, 4 and 16 clients, at the first of --sizes and --per-reference. "
        "Writes bench-service.json and bench-service.png. Needs the extra `service` too.",
        rich_help_panel=_SERVICE_PANEL,
    ),
]

Minutes = Annotated[
    float,
    typer.Option(
        min=0,
        help="Minutes of a soak of the service with 4 clients, after the rounds: does its "
        "memory grow?",
        rich_help_panel=_SERVICE_PANEL,
    ),
]

Url = Annotated[
    str | None,
    typer.Option(
        help="Measure a service that runs here already. Numbers are equal only if it has as "
        "many --threads.",
        show_default="start one on this machine's CPUs",
        rich_help_panel=_SERVICE_PANEL,
    ),
]

Compare = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="bench.json of an earlier run. Measure the code of its commit instead, in turns "
        "with today's, at the first of --sizes and --per-reference. Writes bench-compare.json "
        "and bench-compare.png.",
        rich_help_panel=_COMPARE_PANEL,
    ),
]

CompareSource = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|COMMIT",
        help="The earlier code: a folder with the package roi_ray, or a commit. Works without "
        "--compare, too.",
        show_default="the commit that the file names",
        rich_help_panel=_COMPARE_PANEL,
    ),
]

Tolerance = Annotated[
    float,
    typer.Option(
        min=0,
        help="Fail if a piece of work takes longer than before by more than this share, "
        "in three measurements.",
        rich_help_panel=_COMPARE_PANEL,
    ),
]

Scaling = Annotated[
    str | None,
    typer.Option(
        help="Measure how a job scales instead, by simulation: numbers of actors, separated "
        "by commas, such as 2,4,8,16. The actors wait as long as they would score; all else is "
        "real. At the first of --sizes and --per-reference; --decoded leaves out decoding. Writes "
        "bench-scaling.json.",
        show_default=False,
        rich_help_panel=_SCALING_PANEL,
    ),
]

ScalingMs = Annotated[
    str | None,
    typer.Option(
        help="Milliseconds that an actor takes per reference and per pair, such as 60,90.",
        show_default="what scoring takes on one thread",
        rich_help_panel=_SCALING_PANEL,
    ),
]

NoRay = Annotated[bool, typer.Option("--no-ray", help="Do not measure whole jobs on Ray.")]

Sizes = Annotated[
    str,
    typer.Option(
        help="Sizes of the images in pixels, separated by commas: sides of squares (512), "
        "width x height (6000x4000) or megapixels (24MP, 3:2). Other libraries are measured at "
        "the first."
    ),
]

PerReference = Annotated[
    str,
    typer.Option(
        help="Numbers of distorted images per reference, separated by commas. Other libraries "
        "and memory are measured at the first two."
    ),
]

Against = Annotated[
    str,
    typer.Option(
        help="Rivals to compare roi-ray with, separated by commas: naive (a plain loop), "
        "pytorch_msssim, torchmetrics, pyiqa; empty for none."
    ),
]

Saliency = Annotated[
    SaliencyName, typer.Option(help="Saliency network of everything that is measured.")
]

Precision = Annotated[settings.Precision, typer.Option(help="Precision of roi-ray's networks.")]

Device = Annotated[str, typer.Option(help="auto (a GPU if this machine has one), cpu or cuda.")]

Batch = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Images that go through roi-ray's networks at once.",
        show_default="1 on a CPU, 32 on a GPU",
    ),
]

Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads.", show_default="all")]

References = Annotated[
    int | None,
    typer.Option(min=1, help="References that are scored together.", show_default="1; 8 on a GPU"),
]

Decoded = Annotated[
    bool,
    typer.Option("--decoded", help="Start from decoded images in memory, not from files."),
]

Rounds = Annotated[int, typer.Option(min=1, help="Number of measured rounds.")]

JobPairs = Annotated[int, typer.Option(min=96, help="Pairs of the job on Ray.")]

Images = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Folder of photographs to measure on.",
        show_default="those of scikit-image",
    ),
]

Output = Annotated[Path, typer.Option(file_okay=False, help="Folder for bench.json and bench.png.")]
