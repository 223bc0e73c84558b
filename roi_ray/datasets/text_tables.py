"""Rows of the text files that data sets of human choices come in."""

import csv
import io
import math
from collections.abc import Collection
from typing import NoReturn

from roi_ray.errors import ManifestError
from roi_ray.io import storage

Record = tuple[int, list[str]]
"""A row's number, counted from 1, and its cells."""


def reject_row(uri: str, row: int, text: str) -> NoReturn:
    """Refuse a file because of one of its rows."""
    raise ManifestError(f"{uri}: row {row} {text}")


def require_file(folder: str, name: str, what: str) -> str:
    """URI of a file that a data set's folder must hold.

    Args:
        folder: where it must lie.
        name: of the file.
        what: it holds, for the error.
    """
    uri = storage.join(folder, name)
    if not storage.is_file(uri):
        raise ManifestError(f"{folder} holds no {name} ({what}); give the folder that does")
    return uri


def read_text(uri: str) -> str:
    """The content of a UTF-8 file, with or without a byte order mark."""
    try:
        return storage.read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{uri} is not UTF-8 text: {error}") from error


def read_rows(uri: str, cells: int | None = None) -> list[Record]:
    """The rows of a CSV file that has no header; cells stripped, blank lines left out.

    Args:
        uri: of the file.
        cells: how many a row must have.

    Raises:
        ManifestError: not CSV, or a row of another number of cells.
    """
    try:
        found = [
            (row, [cell.strip() for cell in line])
            for row, line in enumerate(csv.reader(io.StringIO(read_text(uri))), 1)
            if any(cell.strip() for cell in line)
        ]
    except csv.Error as error:
        raise ManifestError(f"{uri} cannot be read as CSV: {error}") from error
    if cells is not None:
        for row, line in found:
            if len(line) != cells:
                reject_row(uri, row, f"has {len(line)} cells, not {cells}")
    return found


def read_rows_by_column(uri: str, needed: Collection[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file by the names in its header, counted from 1 below it.

    Raises:
        ManifestError: not CSV, a column that is missing, or a row of another number of cells.
    """
    header, *lines = read_rows(uri) or [(1, [])]
    names = header[1]
    for name in needed:
        if name not in names:
            there = ", ".join(map(repr, names)) or "none"
            raise ManifestError(f"{uri}: column {name!r} is missing; there are {there}")
    found = []
    for line, cells in lines:
        row = line - header[0]
        if len(cells) != len(names):
            reject_row(uri, row, f"has {len(cells)} cells, but the header {len(names)}")
        found.append((row, dict(zip(names, cells, strict=True))))
    return found


def parse_number(uri: str, row: int, name: str, cell: str) -> float:
    """A cell that must be a finite number."""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        reject_row(uri, row, f"has {cell!r} for {name!r}, which is not a number")
    return value


def parse_share(uri: str, row: int, name: str, cell: str) -> float:
    """A cell that must be within 0..1."""
    value = parse_number(uri, row, name, cell)
    if not 0 <= value <= 1:
        reject_row(uri, row, f"has {value} for {name!r}, not within 0..1")
    return value
