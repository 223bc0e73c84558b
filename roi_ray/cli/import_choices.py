"""`roi-ray import-choices`: turn a published data set of human choices into comparisons."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from roi_ray.cli.exits import exit_with_message
from roi_ray.datasets import DATASET_NAMES, DatasetName

if TYPE_CHECKING:
    from roi_ray.datasets.importers import ImportSummary


@exit_with_message
def main(
    dataset: Annotated[
        DatasetName,
        typer.Argument(help=f"One of: {', '.join(DATASET_NAMES)}.", metavar="DATASET"),
    ],
    path: Annotated[
        str,
        typer.Argument(
            help="Folder of the unpacked data set, or its s3:// prefix.", metavar="PATH"
        ),
    ],
    *,
    output: Annotated[str, typer.Option(help="The .parquet file to write.")],
    min_standard_errors: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Smallest difference between two images' scores, in standard errors, that counts "
            "as a choice. For kadid10k, pipal and tid2013.",
            show_default="2",
        ),
    ] = None,
) -> None:
    """Turn a published data set of human choices into comparisons. Nothing is downloaded.

    Exit codes: 0 if the comparisons are written; 2 if nothing is written, because the arguments
    or the folder cannot be used, or because the answers are the wrong way round.
    """
    from roi_ray.datasets.importers import import_choices
    from roi_ray.io import storage
    from roi_ray.io.allowlist import build_allowlist

    summary = import_choices(dataset, path, output, min_standard_errors)
    print_summary(summary)
    folder = storage.absolute(path)
    if not build_allowlist(storage.parent(storage.absolute(output))).allows(folder):
        print(f"  roi-ray compare opens the images with --allow-prefix {shlex.quote(folder)}")


def print_summary(summary: "ImportSummary") -> None:
    """Print what was imported, what was left out, and how far the answers agree with hints."""
    report = summary.report
    print(
        f"{report.dataset}: {summary.rows} comparisons of {summary.references} references, "
        f"{summary.ties} ties, {summary.gold} control questions -> {summary.output}"
    )
    for reason, count in report.dropped.items():
        print(f"  left out: {count} {reason}")
    if report.repeated:
        print(f"  {report.repeated} repeat the question of an earlier row")
    for check in report.direction_checks:
        print(f"  label direction: {check}")
    if not report.direction_checks:
        print("  label direction: the data set offers nothing to check the answers against")
