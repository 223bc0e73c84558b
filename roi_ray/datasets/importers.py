"""Import a data set of human choices by its name and write the comparisons."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.datasets import DATASET_NAMES
from roi_ray.datasets.import_report import ImportReport, read_import_report
from roi_ray.errors import OutputError, UsageError
from roi_ray.io import storage
from roi_ray.preference.comparisons.table import write_comparisons

Importer = Callable[..., pa.Table]
"""Reads a data set's folder and returns checked comparisons with absolute URIs.

The importers of mean opinion scores take a second argument, `min_standard_errors`.
"""


@dataclass(frozen=True)
class ImportSummary:
    """Summary of an import.

    Attributes:
        rows: number of comparisons.
        references: number of distinct references.
        ties: number of answers that prefer neither image.
        gold: number of control questions.
        report: rows that were left out, and how well the answers agree with hints in the data.
        output: URI of the comparisons.
    """

    rows: int
    references: int
    ties: int
    gold: int
    report: ImportReport
    output: str


def load_importer(name: str) -> Importer:
    """Return the importer of a data set, one of `DATASET_NAMES`."""
    module = importlib.import_module(f"roi_ray.datasets.{name}")
    importer: Importer = getattr(module, f"import_{name}")
    return importer


def takes_standard_errors(importer: Importer) -> bool:
    """Return whether an importer reads mean opinion scores, which it turns into pairs."""
    return "min_standard_errors" in inspect.signature(importer).parameters


def import_choices(
    name: str, path: str, output: str, min_standard_errors: float | None = None
) -> ImportSummary:
    """Import a data set of human choices.

    Args:
        name: name of the data set, one of `DATASET_NAMES`.
        path: folder of the data set, local or on S3.
        output: `.parquet` file to write; an existing file is replaced.
        min_standard_errors: smallest difference between the scores of a pair, in standard errors;
            only for data sets of mean opinion scores. None for the importer's default.

    Raises:
        UsageError: the data set is unknown, or takes no `min_standard_errors`.
        OutputError: the output is not a `.parquet` file.
        ManifestError: the folder does not have the data set's layout, or the labels point the
            wrong way. Nothing is written.
        StorageError: a file cannot be read or written.
    """
    if name not in DATASET_NAMES:
        raise UsageError(f"unknown data set {name!r}; choose from {', '.join(DATASET_NAMES)}")
    if not output.endswith(".parquet"):
        raise OutputError(f"{output} does not end in .parquet")
    importer = load_importer(name)
    if min_standard_errors is None:
        table = importer(path)
    elif takes_standard_errors(importer):
        table = importer(path, min_standard_errors)
    else:
        raise UsageError(
            f"{name} holds single answers, not mean opinion scores: leave --min-standard-errors out"
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
