"""The report of an import, which is stored in the metadata of the comparisons.

So a Parquet file of comparisons says where they came from, which rows were left out, and how well
the labels agree with hints in the data set itself.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pyarrow as pa

import roi_ray
from roi_ray import schema
from roi_ray.datasets.label_direction import DirectionCheck
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons.table import table_from_rows

_METADATA_KEY = b"roi_ray"


@dataclass(frozen=True)
class ImportReport:
    """Report of what one import read, dropped and checked.

    Attributes:
        dataset: name of the data set.
        folder: folder that was read.
        dropped: number of rows that were left out, by reason. A reason completes the phrase
            "3 ... were dropped", such as "with an image that is missing".
        repeated: number of rows that repeat the question of an earlier row; they are kept.
        direction_checks: agreement of the labels with each hint in the data.
        settings: options of the importer.
    """

    dataset: str
    folder: str
    dropped: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    direction_checks: tuple[DirectionCheck, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)


def build_comparisons(rows: list[dict[str, Any]], report: ImportReport) -> pa.Table:
    """Turn rows into checked comparisons with the report in their metadata.

    Args:
        rows: one dictionary per comparison, by the schema's column names. The column `dataset` is
            added.
        report: report of the import. Its `repeated` is counted here.

    Raises:
        ManifestError: there are no rows, or a row is not a valid comparison.
    """
    if not rows:
        raise ManifestError(explain_empty_import(report))
    report = replace(report, repeated=len(rows) - len(set(map(_question, rows))))
    named = [{**row, schema.DATASET: report.dataset} for row in rows]
    return attach_import_report(table_from_rows(named, report.dataset), report)


def explain_empty_import(report: ImportReport) -> str:
    """Build the error message of an import without rows: what was dropped, and why."""
    reasons = "; ".join(f"{count} {reason}" for reason, count in report.dropped.items() if count)
    return f"{report.dataset}: no comparison in {report.folder}: " + (
        f"all were dropped ({reasons})" if reasons else "its tables have no rows"
    )


def attach_import_report(table: pa.Table, report: ImportReport) -> pa.Table:
    """Return the table with the report as its only metadata."""
    value = {"roi_ray": roi_ray.__version__, "import": asdict(report)}
    return table.replace_schema_metadata(
        {_METADATA_KEY: json.dumps(value, sort_keys=True).encode()}
    )


def read_import_report(table: pa.Table) -> ImportReport:
    """Read the report back from the metadata of an imported table."""
    value = json.loads(table.schema.metadata[_METADATA_KEY])["import"]
    checks = tuple(DirectionCheck(**check) for check in value.pop("direction_checks"))
    return ImportReport(**value, direction_checks=checks)


def _question(row: dict[str, Any]) -> tuple[object, ...]:
    """Identify a row's question: the reference, the two candidates in any order, and the crop."""
    crop = tuple(row.get(name) for name in schema.CROP)
    return (row[schema.REFERENCE], frozenset((row[schema.A], row[schema.B])), crop)
