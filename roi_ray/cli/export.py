"""`roi-ray export`: write the scores of a sweep in the format of another tool."""

from typing import Annotated, Literal

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_with_message
from roi_ray.runtime.logs import escape_line


@exit_with_message
def main(
    scores: cli.DecidedScores,
    *,
    output: Annotated[
        str,
        typer.Option(
            help="Folder or s3:// prefix for the files. Files that are there with other content "
            "are an error."
        ),
    ],
    file_format: Annotated[
        Literal["codec-compare", "csv", "compressai"],
        typer.Option(
            "--format",
            help="codec-compare: JSON for the page of Codec-Compare, a file per codec. csv: all "
            "rows, and BD-rates over all images and of each. compressai: JSON for CompressAI's "
            "plots, a file per codec, with means over images.",
        ),
    ],
    codec: cli.DecisionCodecs = None,
    anchor: cli.Anchor = None,
    metric: cli.DecisionMetrics = None,
    only_with_region: Annotated[
        bool,
        typer.Option(
            "--only-with-region",
            help="Leave out images without a region of interest. The JSON formats have no null: "
            "with such images they lack all numbers of the region.",
        ),
    ] = False,
) -> None:
    """Write the scores of a sweep in the format of another tool: Codec-Compare, CompressAI, CSV.

    The numbers are those of the scores. A metric that is null in some cell of a codec is left out
    of that codec's JSON, and the command says so; in CSV it is an empty field. --anchor and
    --metric are for the BD-rates of csv.

    Exit codes: 0 if the files are written; 2 if the arguments or the scores cannot be used, or a
    file exists with other content.
    """
    from roi_ray.report.export.export import export_scores
    from roi_ray.runtime.words import count_noun

    export = export_scores(
        scores,
        file_format,
        output,
        anchor=anchor,
        metrics=metric,
        codecs=codec,
        only_with_region=only_with_region,
    )
    for text in export.left_out:
        print(escape_line(text))
    print(f"{count_noun(len(export.files), 'file')} -> {export.folder}")
