"""Draw pairs at random from an output of `roi-ray score`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.errors import OutputError
from roi_ray.pipeline.run_record import Run
from roi_ray.pipeline.shard_file import read_footers, read_shard


@dataclass(frozen=True)
class Draw:
    """Pairs that were drawn from an output.

    Attributes:
        rows: the rows of the output, pairs of one reference next to each other.
        scored: number of pairs with scores, from which they were drawn.
        foreign: URIs of files in a shard's place that are torn or of another run.
    """

    rows: list[dict[str, Any]]
    scored: int
    foreign: tuple[str, ...]


def draw_pairs(uri: str, run: Run, pairs: int, seed: int) -> Draw:
    """Draw pairs that have scores, each with the same probability and none twice.

    Only the footers of all shards are read, and the shards that the pairs are in.

    Args:
        uri: the output, absolute.
        run: its record.
        pairs: number of pairs; all, if there are fewer.
        seed: seed of the draw: the same pairs for the same seed and output.

    Raises:
        OutputError: no pair of the output has scores.
        StorageError: the output cannot be read.
    """
    # Sorted, so that a draw does not depend on the order in which the storage lists files.
    files = sorted(
        (file, footer.rows - footer.failed if footer else None)
        for _, file, footer in read_footers(uri, run)
    )
    shards = {file: scored for file, scored in files if scored is not None}
    foreign = tuple(file for file, scored in files if scored is None)
    scored = sum(shards.values())
    if not scored:
        torn = f"; {len(foreign)} files are torn or of another run" if foreign else ""
        raise OutputError(f"{uri} has no pair with scores that could be verified{torn}")
    numbers = np.random.default_rng(seed).choice(scored, min(pairs, scored), replace=False)
    rows = list(_read_rows(shards, np.sort(numbers)))
    rows.sort(key=lambda row: (row[schema.REFERENCE], row.get(schema.MASK) or ""))
    return Draw(rows, scored, foreign)


def _read_rows(shards: dict[str, int], numbers: "np.ndarray[Any, Any]") -> Iterator[dict[str, Any]]:
    """Read rows by their numbers among the scored rows of all shards, in ascending order."""
    start = 0
    for file, scored in shards.items():
        wanted = numbers[(numbers >= start) & (numbers < start + scored)] - start
        start += scored
        if len(wanted):
            table = read_shard(file)
            yield from table.filter(pc.is_null(table[schema.ERROR])).take(wanted).to_pylist()
