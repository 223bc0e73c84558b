"""What an importer has to say about its comparisons; it travels in the table's metadata.

So a Parquet file of comparisons says where they came from, which rows were left out, and how far
the answers agree with what the data set itself says of the images.
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
from roi_ray.preference.comparisons import table_from_rows

_METADATA_KEY = b"roi_ray"


@dataclass(frozen=True)
class ImportReport:
    """Of one import.

    Attributes:
        dataset: its name.
        folder: where it was read from.
        dropped: reason -> number of rows that were left out for it.
        repeated: rows that ask again what an earlier row asked; they are kept.
        direction_checks: what the answers were held against.
        settings: of the importer.
    """

    dataset: str
    folder: str
    dropped: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    direction_checks: tuple[DirectionCheck, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)


def build_comparisons(rows: list[dict[str, Any]], report: ImportReport) -> pa.Table:
    """Checked comparisons of a data set, with their report.

    Args:
        rows: by the schema's column names; `dataset` is added.
        report: of the import; `repeated` is added.

    Raises:
        ManifestError: no rows, or rows that are no comparisons.
    """
    if not rows:
        raise ManifestError(explain_empty_import(report))
    report = replace(report, repeated=len(rows) - len(set(map(_question, rows))))
    named = [{**row, schema.DATASET: report.dataset} for row in rows]
    return attach_import_report(table_from_rows(named, report.dataset), report)


def _question(row: dict[str, Any]) -> tuple[object, ...]:
    crop = tuple(row.get(name) for name in schema.CROP)
    return (row[schema.REFERENCE], frozenset((row[schema.A], row[schema.B])), crop)


def explain_empty_import(report: ImportReport) -> str:
    """What to say where an import has no rows."""
    reasons = "; ".join(f"{count} {reason}" for reason, count in report.dropped.items() if count)
    return f"{report.dataset}: no comparison in {report.folder}: " + (
        f"all were dropped ({reasons})" if reasons else "its tables have no rows"
    )


def attach_import_report(table: pa.Table, report: ImportReport) -> pa.Table:
    """The table with an account in its metadata."""
    value = {"roi_ray": roi_ray.__version__, "import": asdict(report)}
    return table.replace_schema_metadata(
        {_METADATA_KEY: json.dumps(value, sort_keys=True).encode()}
    )


def read_import_report(table: pa.Table) -> ImportReport:
    """The account in an imported table's metadata."""
    value = json.loads(table.schema.metadata[_METADATA_KEY])["import"]
    polarity = tuple(DirectionCheck(**check) for check in value.pop("direction_checks"))
    return ImportReport(**value, direction_checks=polarity)
