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
from roi_ray.datasets.polarity import Polarity
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons import from_rows

_METADATA_KEY = b"roi_ray"


@dataclass(frozen=True)
class Account:
    """Of one import.

    Attributes:
        dataset: its name.
        folder: where it was read from.
        dropped: reason -> number of rows that were left out for it.
        repeated: rows that ask again what an earlier row asked; they are kept.
        polarity: what the answers were held against.
        settings: of the importer.
    """

    dataset: str
    folder: str
    dropped: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    polarity: tuple[Polarity, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)


def table_of(rows: list[dict[str, Any]], account: Account) -> pa.Table:
    """Checked comparisons of a data set, with their account.

    Args:
        rows: by the schema's column names; `dataset` is added.
        account: of the import; `repeated` is added.

    Raises:
        ManifestError: no rows, or rows that are no comparisons.
    """
    if not rows:
        raise ManifestError(nothing_left(account))
    account = replace(account, repeated=len(rows) - len(set(map(_question, rows))))
    named = [{**row, schema.DATASET: account.dataset} for row in rows]
    return with_account(from_rows(named, account.dataset), account)


def _question(row: dict[str, Any]) -> tuple[object, ...]:
    crop = tuple(row.get(name) for name in schema.CROP)
    return (row[schema.REFERENCE], frozenset((row[schema.A], row[schema.B])), crop)


def nothing_left(account: Account) -> str:
    """What to say where an import has no rows."""
    reasons = "; ".join(f"{count} {reason}" for reason, count in account.dropped.items() if count)
    return f"{account.dataset}: no comparison in {account.folder}: " + (
        f"all were dropped ({reasons})" if reasons else "its tables have no rows"
    )


def with_account(table: pa.Table, account: Account) -> pa.Table:
    """The table with an account in its metadata."""
    value = {"roi_ray": roi_ray.__version__, "import": asdict(account)}
    return table.replace_schema_metadata(
        {_METADATA_KEY: json.dumps(value, sort_keys=True).encode()}
    )


def account_of(table: pa.Table) -> Account:
    """The account in an imported table's metadata."""
    value = json.loads(table.schema.metadata[_METADATA_KEY])["import"]
    polarity = tuple(Polarity(**found) for found in value.pop("polarity"))
    return Account(**value, polarity=polarity)
