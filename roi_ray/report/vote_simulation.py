"""The report of a simulated study: sentences, JSON, and a picture."""

import io
import json

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.text import Text

import roi_ray
from roi_ray.io import storage
from roi_ray.votes.asking.simulation import Curve, Simulation

_COLOURS = {"random": "0.45", "active": "C0"}


def report_simulation(simulation: Simulation, output: str, console: Console) -> None:
    """Print what a simulation showed, and write `simulation.json` and `simulation.png`.

    Args:
        simulation: from `simulate`.
        output: folder to write to, local or `s3://`.
        console: console to print to.

    Raises:
        StorageError: the output cannot be written.
    """
    output = storage.absolute(output)
    sentences = describe(simulation)
    result = {"roi_ray": roi_ray.__version__, **simulation.to_dict(), "sentences": sentences}
    text = json.dumps(result, indent=2, allow_nan=False) + "\n"
    storage.write_bytes(storage.join(output, "simulation.json"), text.encode())
    storage.write_bytes(storage.join(output, "simulation.png"), draw(simulation))
    for sentence in sentences:
        console.print(Text(sentence))
    console.print(Text(f"-> {output}"))


def describe(simulation: Simulation) -> list[str]:
    """Say in sentences what a simulation showed."""
    sentences = [
        f"{simulation.answers} answers to {simulation.questions} questions about "
        f"{simulation.references} references, asked again {simulation.seeds} times in each order."
    ]
    for numbers in zip(*(curve.levels for curve in simulation.curves), strict=True):
        found = ", ".join(
            f"{curve.order} "
            + (f"after {each.votes} votes" if each.votes else f"not in {curve.votes[-1]} votes")
            for curve, each in zip(simulation.curves, numbers, strict=True)
        )
        sentences.append(f"{_name_measure(simulation)} of {numbers[0].level:.3g}: {found}.")
    return sentences + [
        _describe_expectation(curve)
        for curve in simulation.curves
        if any(expected is not None for expected in curve.expected)
    ]


def _describe_expectation(curve: Curve) -> str:
    """Say how far the tau that the votes let one expect is from the real one."""
    errors = [
        (abs(expected - mean), expected - mean, votes)
        for votes, mean, expected in zip(curve.votes, curve.mean, curve.expected, strict=True)
        if expected is not None
    ]
    _, worst, votes = max(errors)
    mean_error = sum(error for _, error, _ in errors) / len(errors)
    return (
        f"In {curve.order} order, the tau that is expected from the votes is off by "
        f"{mean_error:+.3f} on average, by {worst:+.3f} at worst, after {votes} votes, and by "
        f"{errors[-1][1]:+.3f} after {errors[-1][2]}."
    )


def draw(simulation: Simulation) -> bytes:
    """Draw what is known after how many votes, in both orders, as a PNG."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    for curve in simulation.curves:
        _draw_curve(axes, curve)
    for level in simulation.curves[0].levels:
        axes.axhline(level.level, color="grey", linestyle="--", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("votes")
    is_tau = simulation.goal == "ranking"
    axes.set_ylabel(f"{_name_measure(simulation)}, {'higher' if is_tau else 'lower'} is better")
    if not is_tau:  # the first models, of few votes, may be wrong without bound
        levels = [each.level for curve in simulation.curves for each in curve.levels]
        axes.set_ylim(simulation.with_all - 0.02, max(levels) + 0.25)
    axes.set_title(
        f"Mean of {simulation.seeds} simulations, band: one standard deviation; "
        f"{simulation.answers} recorded answers",
        fontsize=10,
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right" if is_tau else "upper right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _draw_curve(axes: Axes, curve: Curve) -> None:
    colour = _COLOURS[curve.order]
    low, high = zip(
        *((m - s, m + s) for m, s in zip(curve.mean, curve.spread, strict=True)), strict=True
    )
    axes.fill_between(curve.votes, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(curve.votes, curve.mean, color=colour, label=f"{curve.order} order")
    known = [
        (votes, expected)
        for votes, expected in zip(curve.votes, curve.expected, strict=True)
        if expected is not None
    ]
    if known:
        label = f"expected from the votes, {curve.order} order"
        axes.plot(*zip(*known, strict=True), ":", color=colour, label=label)


def _name_measure(simulation: Simulation) -> str:
    if simulation.goal == "ranking":
        return "Kendall's tau with the ranking by all answers"
    return "log-loss [nat] on other references"
