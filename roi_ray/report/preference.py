"""The evaluation of preference models: a table for a terminal, and one picture."""

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from roi_ray.preference.evaluation import PAPER, REPEATED_QUESTIONS, Evaluation

_LONGEST = 48
_STYLES = ("-", ":", "-.")


def to_table(evaluation: Evaluation) -> Table:
    """Accuracy with its interval, log-loss and calibration of every model and rule."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in ("accuracy %↑", "95 % interval", "log-loss↓", "ECE↓"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in evaluation.lines:
        accuracy = line.accuracy
        table.add_row(
            Text(line.name),  # which may hold what looks like markup
            f"{100 * accuracy.value:.2f}",
            f"{100 * accuracy.low:.1f} .. {100 * accuracy.high:.1f}",
            _number(line.log_loss),
            _number(line.calibration),
        )
    for name, value in PAPER.items():
        table.add_row(f"paper, {name} (other data: CLIC)", f"{100 * value:.2f}", "", "", "")
    if (ceiling := evaluation.ceiling) is not None:
        table.add_row(
            f"people, asked again ({ceiling.questions} questions)",
            f"{100 * ceiling.agreement:.2f}",
            "",
            "",
            "",
        )
        implied = f"{100 * ceiling.implied:.2f}"
        table.add_row("  the best accuracy on these that it implies", implied, "", "", "")
    return table


def to_parts_table(evaluation: Evaluation, names: list[str]) -> Table:
    """Accuracy of some models by bit rate, by pair of codecs and by closeness."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("accuracy %", "answers", *names):
        table.add_column(name, justify="left" if name == "accuracy %" else "right", no_wrap=True)
    lines = {line.name: line for line in evaluation.lines}
    for part, size in evaluation.sizes.items():
        cells = (f"{100 * lines[name].parts[part]:.1f}" for name in names)
        table.add_row(Text(part), str(size), *cells)
    return table


def draw(evaluation: Evaluation) -> bytes:
    """Accuracies with their intervals, and reliability of the models; a PNG."""
    figure = Figure(figsize=(12, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _accuracies(left, evaluation)
    right.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    for at, (name, bins) in enumerate(evaluation.reliability.items()):
        x, y = [b.predicted for b in bins], [b.observed for b in bins]
        # Of colours there are ten.
        style = _STYLES[at // 10 % len(_STYLES)]
        right.plot(x, y, marker="o", linestyle=style, label=_short(name))
    right.set_xlabel("predicted P(people prefer a)")
    right.set_ylabel("share that did")
    right.grid(alpha=0.3)
    right.legend(fontsize=7, loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _accuracies(axes: Axes, evaluation: Evaluation) -> None:
    lines = list(reversed(evaluation.lines))
    for at, line in enumerate(lines):
        accuracy = line.accuracy
        axes.plot([100 * accuracy.low, 100 * accuracy.high], [at, at], color="C0")
        axes.plot(100 * accuracy.value, at, marker="o", color="C0")
        if evaluation.ceiling is not None:
            again = 100 * line.parts[REPEATED_QUESTIONS]
            axes.plot(again, at, marker="o", color="grey", fillstyle="none")
    axes.set_yticks(range(len(lines)), [_short(line.name) for line in lines], parse_math=False)
    if evaluation.ceiling is not None:
        axes.axvline(100 * evaluation.ceiling.implied, color="grey", linestyle="--", linewidth=1)
        axes.set_title(
            "grey: on questions asked again; dashed: the best that people's answers to these imply",
            fontsize=9,
        )
    axes.set_xlabel("share of human answers predicted [%], 95 % over references")
    axes.grid(alpha=0.3, axis="x")


def _short(name: str) -> str:
    """A name that leaves room for what is drawn: of a long path, its end."""
    return name if len(name) <= _LONGEST else f"...{name[3 - _LONGEST :]}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
