"""Options that `roi-ray serve` and `roi-ray vote` share."""

from typing import Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.runtime import logs

ADDRESS_PANEL = "Address"

Port = Annotated[
    int,
    typer.Option(
        min=0, max=65535, help="Port; 0 for any that is free.", rich_help_panel=ADDRESS_PANEL
    ),
]

LogLevel = Annotated[
    logs.LogLevel | None,
    typer.Option(
        help="Lines logged to standard error.",
        show_default="warning on a terminal, else info",
        rich_help_panel=cli.RUN_PANEL,
    ),
]
