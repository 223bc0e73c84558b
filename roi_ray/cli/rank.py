"""`roi-ray rank`: rank codecs or methods by human choices or predictions."""

from typing import Annotated

import typer

from roi_ray.cli.exits import exit_with_message
from roi_ray.preference.ranking.options import By, Labels


@exit_with_message
def main(
    *,
    comparisons: Annotated[
        str,
        typer.Option(
            help="Comparisons: a Parquet, CSV or JSON Lines file, a folder of them, or an s3:// "
            "URI."
        ),
    ],
    output: Annotated[
        str, typer.Option(help="Folder or s3:// prefix for ranking.json and ranking.png.")
    ],
    labels: Annotated[
        Labels,
        typer.Option(
            help="Column that says who wins. p_a: people's answers; p_a_preferred: the "
            "predictions of `roi-ray compare`."
        ),
    ] = "p_a",
    by: Annotated[
        By,
        typer.Option(help="What is ranked. method: an encoder at one setting; codec: an encoder."),
    ] = "method",
) -> None:
    """Rank codecs or methods by Bradley-Terry scores, over all bit rates and per band of them.

    Exit codes: 0 if the ranking is written; 2 if the arguments, the comparisons or the output
    cannot be used.
    """
    from rich.console import Console

    from roi_ray.report.ranking import report_ranking

    report_ranking(comparisons, output, by, labels, Console(width=120))
