"""Sentences that say why cells are worth looking at."""

from collections.abc import Sequence

from roi_ray.decision.highlights.near_cells import NearCells
from roi_ray.decision.highlights.worst_cells import WorstCell


def describe_disagreement(
    cells: NearCells, n: int, metrics: Sequence[str], number: int, judge: int
) -> str:
    """Say which cell a metric prefers, and which one the model or another metric does.

    Args:
        cells: cells at nearly equal bit rate.
        n: number of the pair of cells.
        metrics: names of the metrics.
        number: number of the metric.
        judge: number of the other metric; the number of metrics for the model.
    """
    opinion = _describe_opinion(cells, n, metrics[number], number)
    if judge < len(metrics):
        other = _describe_opinion(cells, n, metrics[judge], judge)
        return f"{_describe_rates(cells, n)} {other}, {opinion}"
    share = float(cells.share[n])
    preferred, share = (cells.codecs[0], share) if share > 0.5 else (cells.codecs[1], 1 - share)
    people = "more than 99 %" if share > 0.99 else f"{100 * share:.0f} %"
    return (
        f"{_describe_rates(cells, n)} {opinion}, the preference model predicts that {people} of "
        f"people prefer {preferred}"
    )


def describe_difference(cells: NearCells, n: int, metric: str) -> str:
    """Say which cell the metric, the first of those of the cells, prefers."""
    return (
        f"{_describe_rates(cells, n)} {_describe_opinion(cells, n, metric, 0)}, one of the largest "
        "differences"
    )


def describe_worst(cell: WorstCell) -> str:
    """Say how unusual a bad cell is."""
    value, median = _format_both(cell.value, cell.median)
    point = cell.point.removesuffix(".0")
    return (
        f"{cell.metric} of {cell.codec} at {point} is {value} here, against a median of "
        f"{median} over all images ({cell.z:.1f} robust standard deviations worse)"
    )


def _describe_rates(cells: NearCells, n: int) -> str:
    rates = [f"{rate:.2f}" if rate >= 0.095 else f"{rate:.2g}" for rate in cells.rates[n]]
    if rates[0] == rates[1]:
        return f"at {rates[0]} bpp"
    return f"at {rates[0]} bpp ({cells.codecs[0]}) and {rates[1]} bpp ({cells.codecs[1]})"


def _describe_opinion(cells: NearCells, n: int, metric: str, number: int) -> str:
    better = 0 if cells.leads[n, number] > 0 else 1
    values = cells.values[n, :, number]
    best, other = _format_both(float(values[better]), float(values[1 - better]))
    return f"{metric} prefers {cells.codecs[better]} ({best} against {other})"


def _format_both(value: float, other: float) -> tuple[str, str]:
    """Format two numbers with three significant digits, or with as many as tell them apart."""
    for digits in range(3, 9):
        # The form `#` keeps zeros at the end: 31.0 against 28.4.
        texts = tuple(f"{number:#.{digits}g}".rstrip(".") for number in (value, other))
        if texts[0] != texts[1]:
            break
    return texts[0], texts[1]
