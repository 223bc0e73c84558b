"""`roi-ray codecs`: list the codecs that a sweep can use on this machine."""

import json
from typing import Annotated

import typer

from roi_ray.cli.exits import exit_with_message


@exit_with_message
def main(
    *,
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.toml",
            help="List the codecs of this plan of a sweep too, with those that are run by a "
            "command line.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON with everything about the codecs.")
    ] = False,
) -> None:
    """List the codecs of a sweep: what is available here, versions, quality scales, options.

    Versions of codecs that are run by a command line come from running it.

    Exit codes: 0 if the list is printed, whether or not codecs are missing; 2 if the arguments or
    the plan cannot be used.
    """
    from rich.console import Console

    from roi_ray.report.codecs import (
        describe_codec,
        describe_plan,
        make_codec_table,
        make_option_table,
        make_plan_table,
    )
    from roi_ray.runtime.logs import escape_line
    from roi_ray.sweep.builtin import list_codecs
    from roi_ray.sweep.plan import make_plan

    planned = [] if plan is None else describe_plan(make_plan(file=plan))
    codecs = [describe_codec(codec) for codec in list_codecs()]
    if as_json:
        print(json.dumps({"builtin": codecs, "plan": planned}, indent=2))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(make_codec_table(codecs))
    console.print("\nquality: from the worst value to the best. Options, with their defaults:\n")
    console.print(make_option_table(codecs))
    if planned:
        console.print()
        console.print(make_plan_table(planned))
    missing = list(dict.fromkeys(c["error"] for c in [*codecs, *planned] if c["error"]))
    if missing:
        console.print("\nnot available here:")
    for error in missing:
        console.print(f"  {escape_line(error)}", soft_wrap=True)
