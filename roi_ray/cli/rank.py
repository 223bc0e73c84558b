"""Rank codecs or methods by what people, or a preference model, said of them.

python jobs/rank.py --comparisons comparisons.parquet --output ranking/
python jobs/rank.py --comparisons predicted.parquet --labels p_a_preferred --output ranking/
"""

from typing import Annotated

import typer
from rich.console import Console

from roi_ray.cli.exits import exit_with_message
from roi_ray.preference.options import By, Labels
from roi_ray.report.ranking import report_ranking


@exit_with_message
def main(
    *,
    comparisons: Annotated[
        str, typer.Option(help="Parquet, CSV or JSON Lines: a file, a folder, or s3://.")
    ],
    output: Annotated[
        str, typer.Option(help="Folder or s3:// prefix for ranking.json and ranking.png.")
    ],
    labels: Annotated[
        Labels, typer.Option(help="p_a: what people said; p_a_preferred: what a model predicts.")
    ] = "p_a",
    by: Annotated[
        By, typer.Option(help="codec: an encoder; method: an encoder at one setting.")
    ] = "method",
) -> None:
    """Rank by Bradley-Terry scores with intervals, over all and per band of bit rate.

    Exit code 0: done. 2: unusable arguments or comparisons.
    """
    report_ranking(comparisons, output, by, labels, Console(width=120))
