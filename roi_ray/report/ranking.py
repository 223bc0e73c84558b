"""Reports of a ranking: tables for a terminal, JSON, and a picture."""

import io
import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from rich.text import Text

import roi_ray
from roi_ray import schema
from roi_ray.io import storage
from roi_ray.io.json_values import replace_non_finite
from roi_ray.preference.comparisons.table import read_comparisons
from roi_ray.preference.ranking.bradley_terry import PRIOR
from roi_ray.preference.ranking.options import By, Labels
from roi_ray.preference.ranking.rank import (
    BAND_EDGES,
    RESAMPLES,
    SEED,
    Band,
    Rank,
    WinRates,
    compute_win_rates,
    rank,
    rank_within_bands,
    select_rankable,
)
from roi_ray.preference.statistics.intervals import CONFIDENCE, MIN_REFERENCES
from roi_ray.report.ranking_notes import describe_limits, split_by_group

_MAX_SIDE = 40.0  # inches, the longest side of a heat map
_MAX_LABELLED = 12  # the most names for which the cells of a heat map have room for numbers


def report_ranking(uri: str, output: str, by: By, labels: Labels, console: Console) -> None:
    """Rank comparisons, print the tables, and write `ranking.json` and `ranking.png`.

    Args:
        uri: file or folder of comparisons, local or `s3://`; see
            `roi_ray.preference.comparisons.table.read_comparisons`.
        output: folder to write to, local or `s3://`.
        by: unit to rank, see `roi_ray.rank`.
        labels: column with the choices, see `roi_ray.rank`.
        console: console to print to.

    Raises:
        RoiRayError: the comparisons cannot be ranked, or the output cannot be written.
    """
    comparisons = read_comparisons(uri, labels=labels == schema.P_A)
    table = comparisons.table
    ranks = rank(table, by, labels)
    bands = rank_within_bands(table, by, labels)
    rates = _sort_by_rank(compute_win_rates(table, by, labels), ranks)
    rows = {"rows": table.num_rows, "used": select_rankable(table, by, labels).num_rows}
    source = {"comparisons": uri, "sha256": comparisons.sha256, **rows}
    result = to_dict(ranks, bands, rates, by, labels) | {"source": source}

    output = storage.absolute(output)
    text = json.dumps(result, indent=2, allow_nan=False) + "\n"
    storage.write_bytes(storage.join(output, "ranking.json"), text.encode())
    storage.write_bytes(storage.join(output, "ranking.png"), draw(ranks, rates, by, labels))

    # Text, because names and paths may look like rich's markup.
    console.print(Text(f"{rows['rows']} comparisons, {rows['used']} used -> {output}"))
    _print_ranks(ranks, f"{by}s by {labels}, all bit rates", by, console)
    for band in bands:
        console.print()
        title = f"{by}s by {labels}, {_format_range(band)} bits per pixel"
        _print_ranks(band.ranks, title, by, console)


def _print_ranks(ranks: list[Rank], title: str, by: By, console: Console) -> None:
    """Print a table for each group of names that comparisons link, and what they cannot say."""
    groups = split_by_group(ranks)
    for number, group in enumerate(groups, 1):
        suffix = f", group {number} of {len(groups)}" if len(groups) > 1 else ""
        console.print(to_table(group, title + suffix))
    for note in describe_limits(ranks, by):
        console.print(Text(note))


def to_table(ranks: list[Rank], title: str) -> Table:
    """Build a terminal table of one group of a ranking; an arrow says which direction is better."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("name", no_wrap=True)
    columns = ["score↑ (logit)", "95 % interval", "answers", "win rate↑"]
    # A codec that is better because it had more bits is not a better codec: show who had more.
    if has_bit_rates := any(r.bit_rate_ratio is not None for r in ranks):
        columns.append("bits / opponents'")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for number, r in enumerate(ranks, 1):
        interval = "-" if math.isnan(r.low) else f"{r.low:+.2f} .. {r.high:+.2f}"
        table.add_row(
            str(number),
            Text(r.name),
            f"{r.score:+.2f}",
            interval,
            str(r.answers),
            f"{r.win_rate:.2f}",
            *((_format_ratio(r.bit_rate_ratio),) if has_bit_rates else ()),
        )
    return table


def to_dict(
    ranks: list[Rank], bands: list[Band], rates: WinRates, by: By, labels: Labels
) -> dict[str, object]:
    """Turn a ranking into JSON values.

    `notes` are sentences about what a ranking cannot say. Null stands for an unknown interval, for
    the upper end of the last band, and for the win rate of two names that were never compared.
    """
    settings = {
        "by": by,
        "labels": labels,
        "resamples": RESAMPLES,
        "confidence": CONFIDENCE,
        "min_references": MIN_REFERENCES,
        "prior": PRIOR,
        "edges": BAND_EDGES,
        "seed": SEED,
    }
    result = {
        "roi_ray": roi_ray.__version__,
        "settings": settings,
        "unit": "logit",
        "ranks": [asdict(r) for r in ranks],
        "notes": describe_limits(ranks, by),
        "bands": [asdict(band) | {"notes": describe_limits(band.ranks, by)} for band in bands],
        "win_rates": {
            "names": rates.names,
            "share": rates.share.tolist(),
            "counts": rates.counts.tolist(),
        },
    }
    return {key: replace_non_finite(value) for key, value in result.items()}


def draw(ranks: list[Rank], rates: WinRates, by: By, labels: Labels) -> bytes:
    """Draw scores with intervals, best on top, and the win rates beside them, as a PNG.

    Args:
        ranks: the ranking, best first.
        rates: win rates of the same names, in the same order.
        by: unit that was ranked, for the title.
        labels: column with the choices, for the title.
    """
    side = min(2.4 + 0.3 * len(ranks), _MAX_SIDE)
    figure = Figure(figsize=(6 + side + 2.2, max(side + 1.2, 3.2)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(5, side + 2))
    _draw_scores(left, ranks)
    _draw_heat_map(right, rates)
    figure.suptitle(f"{by}s ranked by {labels}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _draw_scores(axes: Axes, ranks: list[Rank]) -> None:
    places = np.arange(len(ranks))
    score, low, high = np.array([(r.score, r.low, r.high) for r in ranks]).T
    axes.errorbar(score, places, xerr=[score - low, high - score], fmt="o", capsize=3)
    axes.axvline(0, color="grey", linewidth=0.8)
    for place in np.flatnonzero(np.diff([r.group for r in ranks])):
        axes.axhline(place + 0.5, color="black")
    axes.set_yticks(places, [r.name for r in ranks], **_label_style(len(ranks)))
    axes.set_ylim(len(ranks) - 0.5, -0.5)
    axes.set_xlabel("Bradley-Terry score [logit], higher is better")
    title = "score and 95 % interval over references"
    if ranks[-1].group > 1:
        title += "\nscores on two sides of a line cannot be compared"
    axes.set_title(title)
    axes.grid(alpha=0.3)


def _draw_heat_map(axes: Axes, rates: WinRates) -> None:
    axes.set_facecolor("lightgrey")
    image = axes.imshow(rates.share, cmap="RdBu", vmin=0, vmax=1, interpolation="nearest")
    places = range(len(rates.names))
    axes.set_xticks(places, rates.names, rotation=90, **_label_style(len(places)))
    axes.set_yticks(places, rates.names, **_label_style(len(places)))
    axes.set_title("share that prefers row to column")
    axes.figure.colorbar(image, ax=axes, shrink=0.8)
    if len(rates.names) <= _MAX_LABELLED:
        for (row, column), share in np.ndenumerate(rates.share):
            if not math.isnan(share):
                color = "black" if 0.2 < share < 0.8 else "white"
                axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=color)


def _label_style(names: int) -> dict[str, Any]:
    """Choose text options that keep this many names legible on one axis, and `$` literal."""
    return {"parse_math": False, "fontsize": min(10, 60 * _MAX_SIDE / names)}


def _format_ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _sort_by_rank(rates: WinRates, ranks: list[Rank]) -> WinRates:
    """Sort rows and columns by the ranking."""
    names = [r.name for r in ranks]
    order = [rates.names.index(name) for name in names]
    index = np.ix_(order, order)
    return WinRates(names, rates.share[index], rates.counts[index])


def _format_range(band: Band) -> str:
    return (
        f"{band.lower:g} and more" if math.isinf(band.upper) else f"{band.lower:g}..{band.upper:g}"
    )
