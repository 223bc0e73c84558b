"""Read the text files of the data sets. Errors name the file and the row."""

import csv
import io
import math
from collections.abc import Collection
from typing import NoReturn

from roi_ray.errors import ManifestError
from roi_ray.io import storage

Row = tuple[int, list[str]]
"""A row's number, counted from 1, and its cells."""


def reject_row(uri: str, row: int, problem: str) -> NoReturn:
    """Raise a `ManifestError` about one row of a file.

    Args:
        uri: URI of the file.
        row: number of the row, counted from 1.
        problem: rest of the sentence that begins with "row 7", such as "has no answer".
    """
    raise ManifestError(f"{uri}: row {row} {problem}")


def require_file(folder: str, name: str, content: str) -> str:
    """Return the URI of a file that the data set's folder must have.

    Args:
        folder: folder of the data set.
        name: name of the file.
        content: content of the file in words, for the message.

    Raises:
        ManifestError: the file does not exist.
    """
    uri = storage.join(folder, name)
    if not storage.is_file(uri):
        raise ManifestError(f"{folder} holds no {name} ({content}); give the folder that does")
    return uri


def read_text(uri: str) -> str:
    """Read a UTF-8 file, with or without a byte order mark.

    Raises:
        ManifestError: the file is not UTF-8.
    """
    try:
        return storage.read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{uri} is not UTF-8 text: {error}") from error


def read_rows(uri: str, cells: int | None = None) -> list[Row]:
    """Read a CSV file without interpreting a header.

    Cells are stripped. Blank lines are left out, but counted in the row numbers.

    Args:
        uri: URI of the file.
        cells: number of cells that every row must have; None for any.

    Raises:
        ManifestError: the file is not CSV, or a row has another number of cells.
    """
    try:
        rows = [
            (number, [cell.strip() for cell in row])
            for number, row in enumerate(csv.reader(io.StringIO(read_text(uri))), 1)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise ManifestError(f"{uri} cannot be read as CSV: {error}") from error
    if cells is not None:
        for number, row in rows:
            if len(row) != cells:
                reject_row(uri, number, f"has {len(row)} cells, not {cells}")
    return rows


def read_rows_by_column(uri: str, required: Collection[str]) -> list[tuple[int, dict[str, str]]]:
    """Read a CSV file that has a header.

    Args:
        uri: URI of the file.
        required: names of the columns that the file must have.

    Returns:
        The number of each row, counted from 1 below the header, and its cells by column name.

    Raises:
        ManifestError: the file is not CSV, a column is missing, or a row has another number of
            cells than the header.
    """
    (header_number, names), *rows = read_rows(uri) or [(1, [])]
    for name in required:
        if name not in names:
            existing = ", ".join(map(repr, names)) or "none"
            raise ManifestError(f"{uri}: column {name!r} is missing; there are {existing}")
    rows_by_column = []
    for number, cells in rows:
        row = number - header_number
        if len(cells) != len(names):
            reject_row(uri, row, f"has {len(cells)} cells, but the header {len(names)}")
        rows_by_column.append((row, dict(zip(names, cells, strict=True))))
    return rows_by_column


def parse_number(uri: str, row: int, column: str, cell: str) -> float:
    """Parse a finite number.

    Raises:
        ManifestError: the cell holds something else.
    """
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        reject_row(uri, row, f"has {cell!r} for {column!r}, which is not a number")
    return value


def parse_share(uri: str, row: int, column: str, cell: str) -> float:
    """Parse a share of people, a number in [0, 1].

    Raises:
        ManifestError: the cell holds something else.
    """
    value = parse_number(uri, row, column, cell)
    if not 0 <= value <= 1:
        reject_row(uri, row, f"has {value} for {column!r}, not within 0..1")
    return value
