"""What a benchmark found: tables for a terminal, and one picture."""

import io
from collections.abc import Iterator, Mapping

from matplotlib.figure import Figure
from rich.table import Table

from roi_ray.bench.contenders import against
from roi_ray.bench.job import JobSpeed
from roi_ray.bench.run import BenchResult, JobComparison
from roi_ray.bench.timing import Timing, ratio


def build_tables(result: BenchResult) -> Iterator[Table]:
    """Contenders, growth, parts, and the job."""
    for k, timings in result.against.items():
        yield _contenders(f"{k} images of a reference", timings)
    yield _growth(result)
    yield _parts(result)
    if result.job is not None:
        yield _job(result.job)


def draw_benchmark(result: BenchResult) -> bytes:
    """Bars of time a part, and pairs a second against the images of a reference: a PNG."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    bars, lines = figure.subplots(1, 2)
    colours = ["tab:orange" if part.once else "tab:blue" for part in result.parts]
    names = [part.name for part in result.parts]
    bars.barh(names, [part.milliseconds for part in result.parts], color=colours)
    bars.invert_yaxis()
    bars.set_xlabel("ms; orange: once a reference, blue: for every pair")
    curves: dict[str, dict[int, float]] = {"roi-ray": result.curve}
    for k, timings in result.against.items():
        for name in set(timings) - {"roi-ray"}:
            curves.setdefault(name, {})[k] = timings[name].per_pair
    for name, curve in sorted(curves.items()):
        lines.plot(list(curve), [1000 / value for value in curve.values()], "o-", label=name)
    lines.set_xlabel("distorted images of a reference")
    lines.set_ylabel("pairs a second")
    lines.set_ylim(bottom=0)
    lines.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    return buffer.getvalue()


def _contenders(title: str, timings: Mapping[str, Timing]) -> Table:
    table = _table(title, "", "ms a pair", "spread", "against", "times as long")
    for name, timing in timings.items():
        other = against(name)
        held = [] if name == other else [other, f"{ratio(timing, timings[other]):.2f}"]
        table.add_row(name, f"{timing.per_pair:.3g}", f"{timing.spread:.2f}", *held)
    return table


def _growth(result: BenchResult) -> Table:
    table = _table("growth of roi-ray", "", "ms a pair", "ms a megapixel")
    area = next(iter(result.sizes)) ** 2 / 1e6
    for k, value in result.curve.items():
        table.add_row(f"{k} images of a reference", f"{value:.3g}", f"{value / area:.3g}")
    if result.fit:
        fixed, marginal, off = result.fit
        table.add_row(f"{fixed:.3g} / K + {marginal:.3g}, within {off:.0%}", "", "")
    for side, value in result.sizes.items():
        table.add_row(f"{side} x {side}", f"{value:.3g}", f"{value / side**2 * 1e6:.3g}")
    return table


def _parts(result: BenchResult) -> Table:
    limits = f"{result.limits.gflops:.0f} GFLOP/s and {result.limits.gbytes:.0f} GB/s"
    title = f"parts, 512 x 512; the limits are {limits}"
    table = _table(title, "", "for each", "ms", "GFLOP", "MB", "of the limit")
    for part in result.parts:
        table.add_row(
            part.name,
            "reference" if part.once else "pair",
            f"{part.milliseconds:.3g}",
            f"{part.gflop:.2f}" if part.gflop else "",
            f"{1000 * part.gbyte:.1f}" if part.gbyte else "",
            "" if part.share is None else f"{part.share:.0%}",
        )
    for k, share in result.shares.items():
        table.add_row(f"all networks, {k} images of a reference", *[""] * 4, f"{share:.0%}")
    return table


def _job(result: JobComparison) -> Table:
    table = _table(
        "job, 512 x 512, default networks", "", "pairs/s", "of the scorer alone", "actor, MiB"
    )
    for count, rate in result.bare.items():
        table.add_row(f"the scorer alone, {count} x 1 thread", f"{rate:.2f}", "", "")
    for count, job in result.job.items():
        rate = result.bare[count]
        whole = job.pairs / job.seconds
        name = f"job, {count} x 1 thread, {job.pairs} pairs"
        table.add_row(name, f"{job.steady:.2f}", f"{job.steady / rate:.1%}", _memory(job))
        table.add_row(f"  all of its {job.seconds:.0f} s", f"{whole:.2f}", f"{whole / rate:.1%}")
    return table


def _memory(job: JobSpeed) -> str:
    return f"{job.memory[0]:.0f} .. {job.memory[-1]:.0f}" if job.memory else ""


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    return table
