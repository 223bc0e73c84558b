"""Mark the tables of a study, so that none of another study, or of nobody's, is replaced."""

import pyarrow as pa

from roi_ray.errors import ManifestError, OutputError
from roi_ray.io import storage
from roi_ray.io.formats import open_parquet

_KEY = b"roi_ray_study"


def mark_table(table: pa.Table, study: str) -> pa.Table:
    """Return a table with the id of its study in the metadata, in place of other metadata.

    Examples:
        >>> mark_table(pa.table({"p_a": [1.0]}), "5f2c").schema.metadata
        {b'roi_ray_study': b'5f2c'}
    """
    return table.replace_schema_metadata({_KEY: study.encode()})


def check_owner(uri: str, study: str | None) -> None:
    """Check that a file which a study writes may be replaced: it has its mark, or does not exist.

    Args:
        uri: a Parquet file.
        study: id of the study; None if it is new.

    Raises:
        OutputError: the file is another study's, or none's.
        StorageError: the storage failed.
    """
    if not storage.exists(uri):
        return
    try:
        with open_parquet(uri) as file:
            mark = (file.schema_arrow.metadata or {}).get(_KEY)
    except ManifestError:
        mark = None
    if study is None or mark != study.encode():
        raise OutputError(
            f"{uri} is not of this study, which would replace it: name another folder, or move "
            "the file away"
        )
