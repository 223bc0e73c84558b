"""Report of a comparison of two source trees: tables for a terminal, and a figure."""

import io
from collections.abc import Iterator

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from rich.table import Table

from roi_ray.bench.compare.result import Comparison, Piece
from roi_ray.report.bench import build_table, round_figure


def build_compare_tables(comparison: Comparison) -> Iterator[Table]:
    """Build the tables of ratios and of numbers, and one of what the stored run said."""
    yield _build_ratio_table(comparison)
    if comparison.missing:
        yield _build_missing_table(comparison)
    yield _build_number_table(comparison)
    if comparison.stored:
        yield _build_stored_table(comparison)


def write_verdict(comparison: Comparison) -> str:
    """Say in one line whether today's code passes."""
    tolerance = f"{comparison.tolerance:.0%}"
    if comparison.has_passed:
        return f"passed: no piece of work is slower by more than {tolerance}"
    parts = []
    if comparison.slower:
        parts.append(f"slower by more than {tolerance}: {', '.join(comparison.slower)}")
    if comparison.broken:
        parts.append(f"fails: {', '.join(comparison.broken)}")
    if comparison.off:
        version = comparison.new["scoring_version"]
        parts.append(
            f"numbers differ although SCORING_VERSION is {version} in both: "
            f"{', '.join(comparison.off)}"
        )
    return f"failed: {'; '.join(parts)}"


def draw_comparison(comparison: Comparison) -> bytes:
    """Draw the ratios with their intervals, as a PNG."""
    pieces = [piece for piece in comparison.pieces if piece.interval is not None]
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(pieces)), layout="constrained")
    axes = figure.subplots()
    for row, piece in enumerate(pieces):
        assert piece.interval is not None and piece.ratio is not None
        axes.plot(piece.interval, [row, row], color="tab:blue")
        axes.plot([piece.ratio], [row], "o", color="tab:blue")
    axes.set_yticks(range(len(pieces)), [piece.name for piece in pieces])
    axes.invert_yaxis()
    axes.axvspan(1 / (1 + comparison.tolerance), 1 + comparison.tolerance, alpha=0.15)
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(f"time of {comparison.old['name']} over today's: right is faster than before")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    return buffer.getvalue()


def _build_ratio_table(comparison: Comparison) -> Table:
    height, width = comparison.settings["size"]
    old = comparison.old["name"]
    title = f"{old} (old) and today's code (new), {width} x {height}, in turns"
    table = build_table(title, "", "old, ms", "new, ms", "old / new", "interval", "")
    for piece in comparison.pieces:
        if piece.interval is None or piece.old_ms is None or piece.new_ms is None:
            table.add_row(piece.name, "", "", "", "", f"fails: {piece.error}")
            continue
        table.add_row(
            piece.name,
            round_figure(piece.old_ms),
            round_figure(piece.new_ms),
            f"{piece.ratio:.2f}",
            f"{piece.interval[0]:.2f} .. {piece.interval[1]:.2f}",
            _judge(piece, comparison.tolerance),
        )
    return table


def _judge(piece: Piece, tolerance: float) -> str:
    if piece.is_slower(tolerance):
        return "slower"
    return "faster" if piece.is_faster(tolerance) else ""


def _build_missing_table(comparison: Comparison) -> Table:
    table = build_table("pieces of work that are not compared", "", "tree", "why")
    for name, sides in comparison.missing.items():
        for side, reason in sides.items():
            table.add_row(name, comparison.old["name"] if side == "old" else "today", reason)
    return table


def _build_number_table(comparison: Comparison) -> Table:
    old, new = (tree["scoring_version"] for tree in (comparison.old, comparison.new))
    versions = (
        f"{old} in both" if old == new else f"{old} (old) and {new} (new), so they may differ"
    )
    differing = [number for number in comparison.numbers if number.largest != 0]
    equal = len(comparison.numbers) - len(differing)
    title = f"numbers: SCORING_VERSION is {versions}; {equal} columns are equal"
    table = build_table(title, "", "largest difference", "rounding may make", "")
    for number in differing:
        largest = "one has none" if number.largest is None else f"{number.largest:.1e}"
        allowed = f"{number.allowed:.1e}"
        table.add_row(number.column, largest, allowed, "differs" if number.is_off else "")
    if not differing:
        table.add_row("none differs")
    return table


def _build_stored_table(comparison: Comparison) -> Table:
    stored = comparison.stored
    machine = stored.get("machine", {})
    table = build_table(
        f"what the stored run said, on {machine.get('cpu', 'an unknown machine')}, "
        f"{machine.get('threads', '?')} threads: another run, whose times cannot be compared",
        "",
        "ms per pair",
        "times as long as roi-ray",
    )
    for size, milliseconds in stored.get("ms_per_pair", {}).items():
        table.add_row(f"roi-ray, {size}", round_figure(milliseconds), "")
    for k, ratios in stored.get("ratios", {}).items():
        for name, ratio in ratios.items():
            if ratio != 1:
                table.add_row(f"{name}, K = {k}", "", f"{ratio:.2f}")
    return table
