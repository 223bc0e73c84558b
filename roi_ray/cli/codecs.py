"""`roi-ray codecs`: list the codecs that a sweep can use on this machine."""

import json
from typing import Annotated

import typer

from roi_ray.cli.exits import exit_with_message


@exit_with_message
def main(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON with everything about the codecs.")
    ] = False,
) -> None:
    """List the codecs of a sweep: what is available here, versions, quality scales, options.

    Exit codes: 0 if the list is printed, whether or not codecs are missing; 2 if the arguments
    cannot be used.
    """
    from rich.console import Console

    from roi_ray.report.codecs import describe_codec, make_codec_table, make_option_table
    from roi_ray.runtime.logs import escape_line
    from roi_ray.sweep.builtin import list_codecs

    codecs = [describe_codec(codec) for codec in list_codecs()]
    if as_json:
        print(json.dumps(codecs, indent=2))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(make_codec_table(codecs))
    console.print("\nquality: from the worst value to the best. Options, with their defaults:\n")
    console.print(make_option_table(codecs))
    missing = list(dict.fromkeys(codec["error"] for codec in codecs if codec["error"]))
    if missing:
        console.print("\nnot available here:")
    for error in missing:
        console.print(f"  {escape_line(error)}", soft_wrap=True)
