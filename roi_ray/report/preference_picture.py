"""The picture of an evaluation of preference models."""

import io
import math
import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from roi_ray.preference.evaluation.evaluate import Evaluation, ModelResult
from roi_ray.report.preference import select_main

_MAX_NAME, _LINE = 108, 36
"""Characters of a name, and of a line of it."""
_COLOURS = {"recipe": "C0", "model": "C1", "method name": "C2", "metric": "0.45"}
_GUESSING = math.log(2)


def draw(evaluation: Evaluation) -> bytes:
    """Draw log-loss, bias by encoder family, calibration, and the ranking of methods, as a PNG."""
    shown = _select_shown(evaluation)
    height = 2.2 + 0.27 * len(evaluation.results)
    figure = Figure(figsize=(15, max(height, 7.5)), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=(1.35, 1, 1))
    _draw_losses(figure.add_subplot(grid[:, 0]), evaluation)
    _draw_biases(figure.add_subplot(grid[0, 1:]), shown)
    _draw_calibration(figure.add_subplot(grid[1, 1]), evaluation, shown)
    _draw_ranking(figure.add_subplot(grid[1, 2]), evaluation, shown[0])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _select_shown(evaluation: Evaluation) -> list[ModelResult]:
    """Select the results to compare in detail: main models, and the best single metric."""
    metrics = [each for each in evaluation.results if each.kind == "metric"]
    return select_main(evaluation) + metrics[:1]


def _draw_losses(axes: Axes, evaluation: Evaluation) -> None:
    results = list(reversed(evaluation.results))
    for y, result in enumerate(results):
        loss, colour = result.log_loss, _COLOURS[result.kind]
        axes.plot([loss.low, loss.high], [y, y], color=colour)
        axes.plot(loss.value, y, marker="o", color=colour)
    names = [_wrap(result.name) for result in results]
    axes.set_yticks(range(len(results)), names, parse_math=False)
    axes.axvline(_GUESSING, color="grey", linestyle="--", linewidth=1)
    axes.set_xlabel("log-loss [nat]; lower is better; dashed: guessing")
    axes.set_title("How well are answers predicted? 95 % over references", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(alpha=0.3, axis="x")
    axes.margins(y=0.02)


def _draw_biases(axes: Axes, shown: list[ModelResult]) -> None:
    axes.set_title(
        "Bias by encoder family: predicted minus human score, 95 % over references", fontsize=10
    )
    families = list(shown[0].bias.families)
    if not families:
        _leave_empty(axes, shown[0].bias.reason or "")
        return
    axes.axhline(0, color="black", linewidth=1)
    for number, result in enumerate(shown):
        biases = [result.bias.families[name] for name in families]
        x = [f + 0.7 * ((number + 0.5) / len(shown) - 0.5) for f in range(len(families))]
        values = [each.value for each in biases]
        axes.bar(x, values, 0.7 / len(shown), alpha=0.6, label=_wrap(result.name))
        for place, each in zip(x, biases, strict=True):
            axes.plot([place, place], [each.low, each.high], color="black", linewidth=1)
    axes.set_xticks(range(len(families)), families, parse_math=False)
    axes.set_ylabel("logit; 0 is best")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3, axis="y")


def _draw_calibration(axes: Axes, evaluation: Evaluation, shown: list[ModelResult]) -> None:
    axes.plot([0.5, 1], [0.5, 1], color="grey", linestyle="--", linewidth=1)
    for result in shown:
        # Each comparison counts in both orders: the lower half says the same as the upper.
        bins = [each for each in evaluation.reliability[result.name] if each.predicted >= 0.5]
        x, y = [each.predicted for each in bins], [each.observed for each in bins]
        axes.plot(x, y, marker="o", markersize=4, label=_wrap(result.name))
    axes.set_title("Are probabilities right?", fontsize=10)
    axes.set_xlabel("predicted probability of the preferred image")
    axes.set_ylabel("share of answers that prefer it")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper left")


def _draw_ranking(axes: Axes, evaluation: Evaluation, result: ModelResult) -> None:
    axes.set_title(f"Scores of methods: {_wrap(result.name)}", fontsize=10)
    if result.ranking.pearson is None:
        _leave_empty(axes, result.ranking.reason or "")
        return
    people = [evaluation.people[name] for name in result.ranking.scores]
    model = list(result.ranking.scores.values())
    ends = [min(people + model), max(people + model)]
    axes.plot(ends, ends, color="grey", linestyle="--", linewidth=1)
    axes.plot(people, model, "o", markersize=4)
    axes.text(0.04, 0.92, f"r = {result.ranking.pearson:.3f}", transform=axes.transAxes)
    axes.set_xlabel("people's score [logit]")
    axes.set_ylabel("predicted score [logit]")
    axes.grid(alpha=0.3)


def _leave_empty(axes: Axes, reason: str) -> None:
    axes.text(0.5, 0.5, reason, ha="center", va="center", wrap=True, parse_math=False)
    axes.set_axis_off()


def _wrap(name: str) -> str:
    """Break a long name into lines; keep only the end of a long path."""
    end = name if len(name) <= _MAX_NAME else f"...{name[3 - _MAX_NAME :]}"
    return textwrap.fill(end, _LINE)
