"""Turn a published data set of human choices into comparisons.

python jobs/import_choices.py mucped23 data/mucped23 --output choices.parquet
"""

import shlex
from typing import Annotated

import typer

from roi_ray.cli.exits import exit_with_message
from roi_ray.datasets import DatasetName
from roi_ray.datasets.importers import ImportSummary, import_choices
from roi_ray.io import storage
from roi_ray.io.allowlist import build_allowlist


@exit_with_message
def main(
    dataset: Annotated[
        DatasetName, typer.Argument(help="Which data set it is.", metavar="DATASET")
    ],
    path: Annotated[
        str, typer.Argument(help="Its folder, unpacked, or s3:// prefix.", metavar="PATH")
    ],
    *,
    output: Annotated[str, typer.Option(help="The .parquet file to write.")],
    min_standard_errors: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="For kadid10k, pipal and tid2013: by how many the scores of a pair must differ.",
            show_default="2",
        ),
    ] = None,
) -> None:
    """Import aic3, bapps, clic, kadid10k, mucped22, mucped23, pieapp, pipal or tid2013.

    Exit code 0: the comparisons are written. 2: unusable arguments, a folder of another layout, or
    answers that are the wrong way round; nothing is written then.
    """
    summary = import_choices(dataset, path, output, min_standard_errors)
    print_summary(summary)
    folder = storage.absolute(path)
    if not build_allowlist(storage.parent(storage.absolute(output))).allows(folder):
        print(f"  jobs/compare.py opens the images with --allow-prefix {shlex.quote(folder)}")


def print_summary(summary: ImportSummary) -> None:
    """Say what came of the job."""
    report = summary.report
    print(
        f"{report.dataset}: {summary.rows} comparisons of {summary.references} references, "
        f"{summary.ties} ties, {summary.gold} control questions -> {summary.output}"
    )
    for reason, count in report.dropped.items():
        print(f"  left out: {count} {reason}")
    if report.repeated:
        print(f"  {report.repeated} ask again what an earlier row asked")
    for check in report.direction_checks:
        print(f"  label direction: {check}")
    if not report.direction_checks:
        print("  label direction: the data set offers nothing to check the answers against")
