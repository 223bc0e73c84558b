"""Compare the speed of today's code with that of a stored run, whose code runs again, in turns."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roi_ray import metrics
from roi_ray.bench.compare.result import Comparison, Piece, compare_numbers, summarise_piece
from roi_ray.bench.compare.source import current_source, open_source
from roi_ray.bench.compare.stored import StoredRun, read_stored_run
from roi_ray.bench.compare.turns import WorkerOptions, measure_in_turns
from roi_ray.bench.options import BenchOptions
from roi_ray.bench.workload import make_groups
from roi_ray.errors import UsageError
from roi_ray.runtime.device import find_device
from roi_ray.runtime.precision import fastest_precision

_REPEATS = 2
"""Times that pieces which seem slower are measured again."""


@dataclass(frozen=True)
class CompareOptions:
    """Options of a comparison.

    Attributes:
        stored: `bench.json` of an earlier run; None if `source` alone says what to compare with.
        source: folder or commit of the earlier code; None for the commit that `stored` names.
        tolerance: share by which a piece of work may be slower.
        threads: CPU threads of each process; None for all.
    """

    stored: Path | None
    source: str | None
    tolerance: float
    threads: int | None


def run_comparison(
    bench: BenchOptions, options: CompareOptions, report: Callable[[str], None] = lambda _: None
) -> Comparison:
    """Measure the code of an earlier run and today's in turns, in two processes.

    Pieces that seem slower are measured again, up to twice, because a process may be slower than
    another one of the same code. A piece is slower if it is in all measurements; the last counts.

    Args:
        bench: the photographs, the first size and number of images per reference, the device, the
            precision and the rounds.
        options: what to compare with.
        report: function that receives a line of text before each part.

    Raises:
        UsageError: the file or the earlier code cannot be used.
        RoiRayError: a process failed.
    """
    stored = read_stored_run(options.stored) if options.stored else StoredRun()
    name = options.source or stored.commit
    if name is None:
        raise UsageError(
            f"{options.stored} does not say of which commit it was measured; name a folder or a "
            "commit with --compare-source"
        )
    if options.source is None and stored.is_dirty:
        report(f"the stored run was measured with changes that commit {name[:10]} does not have")
    device = find_device(bench.device)
    precision = bench.settings.precision
    if precision == "auto":
        precision = fastest_precision(device)
    size, per_reference = bench.sizes[0], bench.per_reference[0]
    with tempfile.TemporaryDirectory() as folder, open_source(name) as old:
        group = make_groups(bench.photographs, Path(folder), size, 1, per_reference)[0]
        work = WorkerOptions(
            reference=group.reference,
            distorted=group.distorted,
            metrics=tuple(metrics.__all__),
            threads=options.threads,
            device=device.type,
            precision=precision,
        )
        sources = (old, current_source())
        report(f"{old.name} and today's code, in turns")
        times, trees = measure_in_turns(sources, work, bench.rounds)
        pieces = {name: summarise_piece(name, each) for name, each in times.items()}
        for _ in range(_REPEATS):
            slower = [name for name, piece in pieces.items() if piece.is_slower(options.tolerance)]
            if slower:
                report(f"again, by new processes: {', '.join(slower)}")
                again, _ = measure_in_turns(sources, work, 2 * bench.rounds, slower.__contains__)
                pieces |= {name: summarise_piece(name, each) for name, each in again.items()}
    numbers = compare_numbers([each.numbers for each in times.values()], precision)
    return Comparison(
        old={"name": old.name, **_without_pieces(trees[0])},
        new={"name": "today", **_without_pieces(trees[1])},
        settings={
            "size": size,
            "per_reference": per_reference,
            "threads": options.threads,
            "precision": precision,
            "device": device.type,
            "rounds": bench.rounds,
        },
        tolerance=options.tolerance,
        pieces=list(pieces.values()),
        missing=_find_missing(trees, pieces),
        numbers=numbers,
        stored=stored.summary,
    )


def _without_pieces(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if name not in ("pieces", "missing")}


def _find_missing(
    trees: tuple[Mapping[str, Any], Mapping[str, Any]], pieces: Mapping[str, Piece]
) -> dict[str, dict[str, str]]:
    """Say why pieces are missing in one of the trees."""
    missing: dict[str, dict[str, str]] = {}
    for side, tree, other in zip(("old", "new"), trees, reversed(trees), strict=True):
        for name, reason in tree["missing"].items():
            missing.setdefault(name, {})[side] = reason
        for name in other["pieces"]:
            if name not in tree["pieces"]:
                missing.setdefault(name, {}).setdefault(side, "this tree does not have it")
    return missing
