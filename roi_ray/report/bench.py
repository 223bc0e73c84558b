"""Reports of a benchmark: tables for a terminal, and a figure."""

import io
from collections.abc import Iterator, Mapping
from statistics import median

from matplotlib.figure import Figure
from rich.table import Table

from roi_ray.bench.breakdown import StepTime
from roi_ray.bench.growth import Growth
from roi_ray.bench.implementations import ROI_RAY, find_baseline
from roi_ray.bench.job import JobSpeed
from roi_ray.bench.run import BenchResult, JobComparison
from roi_ray.bench.timing import Timing, median_ratio


def build_tables(result: BenchResult) -> Iterator[Table]:
    """Build a table of each part that was measured."""
    for k, timings in result.timings.items():
        yield _build_comparison_table(f"{k} distorted images per reference", timings)
    yield _build_growth_table(result)
    if any(entry.memory for entry in result.growth):
        yield _build_memory_table(result)
    yield _build_steps_table(result)
    if result.job is not None:
        yield _build_job_table(result.job)


def draw_benchmark(result: BenchResult) -> bytes:
    """Draw the time of each step, and the speed by distorted images per reference, as a PNG."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    bars, lines = figure.subplots(1, 2)
    steps = [step for step in result.breakdown.steps if not step.is_part]
    colours = ["tab:orange" if step.per_reference else "tab:blue" for step in steps]
    names = [step.name for step in steps]
    bars.barh(names, [step.milliseconds for step in steps], color=colours)
    bars.invert_yaxis()
    bars.set_xlabel("ms; orange: per reference, blue: per pair")
    curves: dict[str, dict[int, float]] = {
        ROI_RAY: {
            entry.per_reference: entry.timing.ms_per_pair for entry in result.growth_of_first_size
        }
    }
    for k, timings in result.timings.items():
        for name in set(timings) - {ROI_RAY}:
            curves.setdefault(name, {})[k] = timings[name].ms_per_pair
    for name, curve in sorted(curves.items()):
        counts = sorted(curve)
        lines.plot(counts, [1000 / curve[k] for k in counts], "o-", label=name)
    lines.set_xticks(sorted(curves[ROI_RAY]))
    lines.set_xlabel("distorted images per reference")
    lines.set_ylabel("pairs per second")
    lines.set_yscale("log")  # MS-SSIM alone is fast
    lines.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    return buffer.getvalue()


def round_figure(value: float) -> str:
    """Write three digits, or all before the decimal point.

    Examples:
        >>> round_figure(1234.5), round_figure(0.12345)
        ('1,234', '0.123')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _build_comparison_table(title: str, timings: Mapping[str, Timing]) -> Table:
    table = build_table(title, "", "ms per pair", "spread", "compared with", "times as long")
    for name, timing in timings.items():
        baseline = find_baseline(name)
        ratio = f"{median_ratio(timing, timings[baseline]):.2f}"
        comparison = [] if name == baseline else [baseline, ratio]
        table.add_row(name, round_figure(timing.ms_per_pair), f"{timing.spread:.2f}", *comparison)
    return table


def _build_growth_table(result: BenchResult) -> Table:
    first = result.growth[0]
    table = build_table(
        "growth of roi-ray",
        "size, distorted images per reference",
        "ms per pair",
        "ms per megapixel",
        f"of that of {first.width} x {first.height}",
    )
    for entry in result.growth:
        table.add_row(
            _name(entry),
            round_figure(entry.timing.ms_per_pair),
            round_figure(entry.ms_per_megapixel),
            f"{entry.ratio:.2f}",
        )
    if (fit := result.fit) is not None:
        fixed, marginal = round_figure(fit.fixed_ms), round_figure(fit.marginal_ms)
        formula = f"{fixed} / K + {marginal}, within {fit.max_error:.0%}"
        table.add_row(f"{first.width} x {first.height}: {formula}", "", "", "")
    return table


def _build_memory_table(result: BenchResult) -> Table:
    table = build_table(
        "peak memory of a job, MiB: private memory of all its processes, the object store in use, "
        "and the largest one's pages of files",
        "size, distorted images per reference",
        "engine",
        "processes",
        "all",
        "largest",
        "object store",
    )
    for entry in result.growth:
        for engine, memory in entry.memory.items():
            sizes = (memory.mib, memory.largest_mib, memory.store_mib)
            figures = [f"{size:.0f}" for size in sizes] if memory.error is None else [memory.error]
            table.add_row(_name(entry), engine, str(memory.processes), *figures)
    return table


def _name(entry: Growth) -> str:
    return f"{entry.width} x {entry.height}, K = {entry.per_reference}"


def _build_steps_table(result: BenchResult) -> Table:
    breakdown = result.breakdown
    limits = f"{breakdown.limits.gflops:.0f} GFLOP/s and {breakdown.limits.gbytes:.0f} GB/s"
    title = f"steps, 512 x 512; limits of the machine: {limits}"
    table = build_table(title, "", "ms", "GFLOP", "MB", "of the limit")
    whole = {True: breakdown.whole.reference_ms, False: breakdown.whole.pair_ms}
    for per_reference, measured in whole.items():
        what = "reference" if per_reference else "pair"
        table.add_row(f"per {what}", style="bold")
        for step in breakdown.steps:
            if step.per_reference == per_reference:
                table.add_row(*_describe_step(step))
        total = breakdown.sum_steps(per_reference=per_reference)
        table.add_row("sum of the steps", round_figure(total))
        table.add_row(f"{what} by the scorer", round_figure(measured))
        difference = f"{measured - total:+.1f}"
        table.add_row("difference", difference, "", "", f"{measured / total - 1:+.0%}")
        table.add_section()
    for k, utilisation in result.utilisation.items():
        label = f"all networks, {k} distorted images per reference"
        table.add_row(label, *[""] * 3, f"{utilisation:.0%}")
    return table


def _describe_step(step: StepTime) -> list[str]:
    return [
        f"    of which {step.name}" if step.is_part else f"  {step.name}",
        round_figure(step.milliseconds),
        f"{step.gflop:.2f}" if step.gflop and step.is_part else "",
        f"{1000 * step.gbyte:.1f}" if step.gbyte else "",
        "" if step.utilisation is None else f"{step.utilisation:.0%}",
    ]


def _build_job_table(comparison: JobComparison) -> Table:
    job = comparison.job
    table = build_table(
        f"job, 512 x 512, default networks, {job.pairs} pairs, {comparison.processes} x 1 thread",
        "",
        "scorer alone, pairs/s",
        "job, pairs/s",
        "of the scorer alone",
        "actor, MiB",
    )
    steady = median(scorer.pairs_per_s for scorer in comparison.scorer)
    whole = median(scorer.pairs / scorer.seconds for scorer in comparison.scorer)
    for label, alone, speed, memory in (
        ("without start and end", steady, job.steady_pairs_per_s, _format_memory(job)),
        ("from start to end of the processes", whole, job.pairs / job.seconds, ""),
    ):
        table.add_row(label, f"{alone:.2f}", f"{speed:.2f}", f"{speed / alone:.1%}", memory)
    return table


def _format_memory(job: JobSpeed) -> str:
    return f"{job.memory_mib[0]:.0f} .. {job.memory_mib[-1]:.0f}" if job.memory_mib else ""


def build_table(title: str, *headings: str) -> Table:
    """Build an empty table; columns without a heading are text, the others figures."""
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    return table
