"""Reports of an evaluation of preference models: tables for a terminal, and a picture."""

import io
import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from roi_ray.preference.breakdown import REPEATED_QUESTIONS
from roi_ray.preference.evaluation import PAPER_ACCURACY, Evaluation
from roi_ray.preference.intervals import MIN_REFERENCES
from roi_ray.preference.measures import Interval, PairedDifference

_MAX_NAME = 48
_LINE_STYLES = ("-", ":", "-.")


def to_table(evaluation: Evaluation) -> Table:
    """Build a terminal table of every model and rule: accuracy, log-loss, calibration error."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", overflow="fold")  # a long path is folded, so that numbers are never cut
    for name in ("accuracy %↑", "95 % interval", "log-loss↓", "ECE↓"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in evaluation.results:
        accuracy = result.accuracy
        table.add_row(
            Text(result.name),  # Text, because a path may look like rich's markup
            f"{100 * accuracy.value:.2f}",
            format_interval(accuracy),
            _format(result.log_loss),
            _format(result.calibration_error),
        )
    for name, value in PAPER_ACCURACY.items():
        table.add_row(f"paper, {name} (other data: CLIC)", f"{100 * value:.2f}", "", "", "")
    if (ceiling := evaluation.ceiling) is not None:
        table.add_row(
            f"people, asked again ({ceiling.questions} questions)",
            f"{100 * ceiling.agreement:.2f}",
            "",
            "",
            "",
        )
        implied = f"{100 * ceiling.implied_accuracy:.2f}"
        table.add_row("  implied highest accuracy on these questions", implied, "", "", "")
    return table


def format_interval(interval: Interval, digits: int = 1) -> str:
    """Write the ends of an interval in percent; "-" where there is none."""
    if math.isnan(interval.low):
        return "-"
    low, high = (f"{100 * end:.{digits}f}" for end in (interval.low, interval.high))
    return f"{low} .. {high}"


def format_difference(name: str, test: PairedDifference) -> str:
    """Write a difference of accuracies in points, its interval, and its p-value."""
    d = test.difference
    text = f"{name}: {100 * d.value:+.2f} points"
    if math.isnan(test.p):
        return f"{text}, no interval and no p with fewer than {MIN_REFERENCES} references"
    if math.isnan(d.low):
        return f"{text}, the same for every answer, so without an interval"
    p = "< 0.001" if test.p < 0.001 else f"= {test.p:.3f}"
    return f"{text} ({100 * d.low:+.2f} .. {100 * d.high:+.2f}), p {p}"


def to_parts_table(evaluation: Evaluation, names: list[str]) -> Table:
    """Build a terminal table of accuracy by bit rate, by pair of codecs, and by closeness.

    Args:
        evaluation: the evaluation.
        names: names of the models and rules to show.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("accuracy %", "answers", *names):
        table.add_column(name, justify="left" if name == "accuracy %" else "right", no_wrap=True)
    results = {result.name: result for result in evaluation.results}
    for part, size in evaluation.part_sizes.items():
        cells = (f"{100 * results[name].accuracy_by_part[part]:.1f}" for name in names)
        table.add_row(Text(part), str(size), *cells)
    return table


def draw(evaluation: Evaluation) -> bytes:
    """Draw accuracies with their intervals, and the reliability of the models, as a PNG."""
    figure = Figure(figsize=(12, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_accuracies(left, evaluation)
    right.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    for index, (name, bins) in enumerate(evaluation.reliability.items()):
        x, y = [b.predicted for b in bins], [b.observed for b in bins]
        # Matplotlib has ten colours; the next ten lines need another style.
        style = _LINE_STYLES[index // 10 % len(_LINE_STYLES)]
        right.plot(x, y, marker="o", linestyle=style, label=_shorten(name))
    right.set_xlabel("predicted P(people prefer a)")
    right.set_ylabel("share of answers that prefer a")
    right.grid(alpha=0.3)
    right.legend(fontsize=7, loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _draw_accuracies(axes: Axes, evaluation: Evaluation) -> None:
    results = list(reversed(evaluation.results))
    for y, result in enumerate(results):
        accuracy = result.accuracy
        axes.plot([100 * accuracy.low, 100 * accuracy.high], [y, y], color="C0")
        axes.plot(100 * accuracy.value, y, marker="o", color="C0")
        if evaluation.ceiling is not None:
            repeated = 100 * result.accuracy_by_part[REPEATED_QUESTIONS]
            axes.plot(repeated, y, marker="o", color="grey", fillstyle="none")
    names = [_shorten(result.name) for result in results]
    axes.set_yticks(range(len(results)), names, parse_math=False)
    if evaluation.ceiling is not None:
        axes.axvline(
            100 * evaluation.ceiling.implied_accuracy, color="grey", linestyle="--", linewidth=1
        )
        axes.set_title(
            "grey: on questions asked again; dashed: highest accuracy that is possible on these",
            fontsize=9,
        )
    axes.set_xlabel("share of human answers predicted [%], 95 % over references")
    axes.grid(alpha=0.3, axis="x")


def _shorten(name: str) -> str:
    """Keep only the end of a long path, so that names leave space for the plot."""
    return name if len(name) <= _MAX_NAME else f"...{name[3 - _MAX_NAME :]}"


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
