"""Options of `roi-ray serve` alone."""

from typing import Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.server_options import ADDRESS_PANEL

_LIMITS = "Limits (more is refused)"

Host = Annotated[
    str,
    typer.Option(
        help="Address to listen at. The default is reached from this machine only; 0.0.0.0 is "
        "every address of it, which should have --api-keys.",
        rich_help_panel=ADDRESS_PANEL,
    ),
]

ApiKeys = Annotated[
    str | None,
    typer.Option(
        help="File of the keys that open the service, as SHA-256, one per line, then a name if "
        "you like; # begins a comment. Make a key by `openssl rand -hex 32`, and its line by "
        "`printf %s KEY | sha256sum`.",
        show_default="no key is needed",
        rich_help_panel=ADDRESS_PANEL,
    ),
]

AllowPrefix = Annotated[
    list[str] | None,
    typer.Option(
        help="Folder, or URI of one, whose images requests may name instead of sending them. "
        "Repeatable.",
        show_default="none: images are sent",
        rich_help_panel=ADDRESS_PANEL,
    ),
]

Model = Annotated[
    str,
    typer.Option(
        help="Preference model of /v1/compare: the packaged one, or a file that `roi-ray "
        "train` wrote.",
        rich_help_panel=cli.RUN_PANEL,
    ),
]

Replicas = Annotated[
    int,
    typer.Option(min=1, help="Number of processes that score.", rich_help_panel=cli.RUN_PANEL),
]

MaxReplicas = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Start more processes that score while requests wait, up to this number, and stop "
        "them when there are few.",
        show_default="--replicas",
        rich_help_panel=cli.RUN_PANEL,
    ),
]

GpusPerReplica = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=1,
        help="Share of a GPU per process that scores: 0.5 puts two on each GPU.",
        rich_help_panel=cli.RUN_PANEL,
    ),
]

Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="CPU threads of each process that scores.",
        show_default="an equal share of the CPUs; 1 on a GPU",
        rich_help_panel=cli.RUN_PANEL,
    ),
]

Decoders = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of processes that decode images.",
        show_default="1; 4 per process that scores on a GPU",
        rich_help_panel=cli.RUN_PANEL,
    ),
]

Apis = Annotated[
    int,
    typer.Option(
        min=1, help="Number of processes that read requests.", rich_help_panel=cli.RUN_PANEL
    ),
]

ReferenceBytes = Annotated[
    str,
    typer.Option(help="Size of the cache of references as files.", rich_help_panel=cli.RUN_PANEL),
]

PreparedBytes = Annotated[
    str,
    typer.Option(
        help="Size of the cache of prepared references, in each process that scores. One of a "
        "megapixel takes about 130 MB.",
        rich_help_panel=cli.RUN_PANEL,
    ),
]

MaxBodyBytes = Annotated[
    str,
    typer.Option(help="Size of a request, such as 64MiB.", rich_help_panel=_LIMITS),
]

MaxWaitingBytes = Annotated[
    str,
    typer.Option(
        help="Size of all requests at a time, per process that reads requests.",
        rich_help_panel=_LIMITS,
    ),
]

MaxPixels = Annotated[
    int,
    typer.Option(
        min=1,
        help="Width times height of an image. A larger one is a result with an error.",
        rich_help_panel=_LIMITS,
    ),
]

MaxImages = Annotated[
    int, typer.Option(min=1, help="Images of a request.", rich_help_panel=_LIMITS)
]

MaxRequests = Annotated[
    int,
    typer.Option(
        min=1, help="Requests at a time, per process that reads requests.", rich_help_panel=_LIMITS
    ),
]

Timeout = Annotated[
    float,
    typer.Option(
        min=0.1,
        help="Seconds from a request's first byte until its answer.",
        rich_help_panel=_LIMITS,
    ),
]

DrainSeconds = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Seconds to finish the requests in progress after SIGTERM or Control-C.",
        show_default="--timeout and 5 more",
        rich_help_panel=cli.RUN_PANEL,
    ),
]
