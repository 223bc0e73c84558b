"""The command `roi-ray`. Each subcommand's module is imported only when it is needed."""

import importlib
import os
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

import roi_ray

PANELS = {
    "Sweeps": ("sweep", "codecs"),
    "Scoring": ("pair", "score", "status", "verify"),
    "Service": ("serve",),
    "Decision": ("summary", "report", "gate", "export"),
    "Human preferences": ("import-choices", "vote", "compare", "train", "evaluate", "rank"),
    "Training of the packaged networks": (
        "label-saliency",
        "train-saliency",
        "train-discriminator",
    ),
    "Speed": ("bench",),
}
"""Subcommands by their heading in the help. `train-saliency` is in `cli/train_saliency.py`."""

# OpenMP's threads spin while they wait. Where other processes need the cores too, a job then takes
# several times as long. OpenMP reads the variable when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}
_HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


class _LazyGroup(TyperGroup):
    """A group that imports a subcommand's module when it needs the subcommand."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(_PANEL_OF)

    def get_command(  # type: ignore[override]
        self, ctx: typer.Context, cmd_name: str
    ) -> TyperCommand | None:
        return load_command(cmd_name) if cmd_name in _PANEL_OF else None


def load_command(name: str) -> TyperCommand:
    """Import a subcommand.

    Args:
        name: name as users type it, such as `train-saliency`.
    """
    module = importlib.import_module(f"roi_ray.cli.{name.replace('-', '_')}")
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name, rich_help_panel=_PANEL_OF[name], context_settings=_HELP_OPTIONS)(
        module.main
    )
    command = typer.main.get_command(single)
    assert isinstance(command, TyperCommand)
    return command


app = typer.Typer(
    cls=_LazyGroup,
    context_settings=_HELP_OPTIONS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"roi-ray {roi_ray.__version__}")
        raise typer.Exit


@app.callback()
def _describe(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version),
    ] = False,
) -> None:
    """Score image-codec sweeps at scale, over the whole image and where people look.

    `roi-ray COMMAND --help` explains a command, its options and its exit codes.
    """


def main() -> None:
    """Run `roi-ray`."""
    app(prog_name="roi-ray")


def run(name: str) -> None:
    """Run one subcommand with this process's arguments, as the scripts in `jobs/` do.

    Args:
        name: name as users type it, such as `train-saliency`.
    """
    load_command(name)(prog_name=f"jobs/{name.replace('-', '_')}.py")
