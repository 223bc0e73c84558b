"""The table of importers, and what all of them have in common."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.datasets.aic3 import import_aic3
from roi_ray.datasets.bapps import import_bapps
from roi_ray.datasets.clic import import_clic
from roi_ray.datasets.import_report import ImportReport, read_import_report
from roi_ray.datasets.kadid10k import import_kadid10k
from roi_ray.datasets.mucped22 import import_mucped22
from roi_ray.datasets.mucped23 import import_mucped23
from roi_ray.datasets.pieapp import import_pieapp
from roi_ray.datasets.pipal import import_pipal
from roi_ray.datasets.tid2013 import import_tid2013
from roi_ray.errors import ManifestError, OutputError
from roi_ray.io import storage
from roi_ray.preference.comparisons import write_comparisons

SCORED: Mapping[str, Callable[[str, float], pa.Table]] = {
    "kadid10k": import_kadid10k,
    "pipal": import_pipal,
    "tid2013": import_tid2013,
}
"""Data sets of scores, which become comparisons where they differ by enough standard errors."""

IMPORTERS: Mapping[str, Callable[[str], pa.Table]] = {
    "aic3": import_aic3,
    "bapps": import_bapps,
    "clic": import_clic,
    "kadid10k": import_kadid10k,
    "mucped22": import_mucped22,
    "mucped23": import_mucped23,
    "pieapp": import_pieapp,
    "pipal": import_pipal,
    "tid2013": import_tid2013,
}
"""Name -> importer: from the data set's folder to checked comparisons of absolute URIs."""


@dataclass(frozen=True)
class ImportSummary:
    """What came of an import.

    Attributes:
        rows: comparisons.
        references: different ones.
        ties: answers that prefer neither image.
        gold: control questions.
        report: what was left out, and how far the answers agree with the set's own hints.
        output: URI of the comparisons.
    """

    rows: int
    references: int
    ties: int
    gold: int
    report: ImportReport
    output: str


def import_choices(
    name: str, path: str, output: str, min_standard_errors: float | None = None
) -> ImportSummary:
    """Import a data set of human choices.

    Args:
        name: one of `datasets.DATASET_NAMES`.
        path: the data set's folder: local or on S3.
        output: `.parquet` file to write; one that is there is replaced.
        min_standard_errors: for data sets of scores; None for the default.

    Raises:
        ManifestError: the folder is not of the data set's layout, or the answers are the wrong way
            round; nothing is written then.
        OutputError: the output is no `.parquet` file.
        StorageError: a file cannot be read or written.
    """
    if name not in IMPORTERS:
        raise ManifestError(f"no data set {name!r}; there are {', '.join(IMPORTERS)}")
    if not output.endswith(".parquet"):
        raise OutputError(f"{output} does not end in .parquet")
    if min_standard_errors is None:
        table = IMPORTERS[name](path)
    elif name in SCORED:
        table = SCORED[name](path, min_standard_errors)
    else:
        raise ManifestError(
            f"{name} is a data set of answers, not of scores: standard errors are for "
            f"{', '.join(SCORED)}"
        )
    output = storage.absolute(output)
    write_comparisons(output, table)
    gold = table[schema.GOLD] if schema.GOLD in table.column_names else pa.array([], pa.bool_())
    return ImportSummary(
        rows=len(table),
        references=pc.count_distinct(table[schema.REFERENCE]).as_py(),
        ties=pc.sum(pc.equal(table[schema.P_A], 0.5)).as_py() or 0,
        gold=pc.sum(gold).as_py() or 0,
        report=read_import_report(table),
        output=output,
    )
