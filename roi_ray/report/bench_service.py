"""Reports of a measurement of the service: tables for a terminal, and a figure."""

import io
from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure
from rich.table import Table

from roi_ray.bench.service.result import LoadResult, ServiceBenchResult


def build_service_tables(result: ServiceBenchResult) -> Iterator[Table]:
    """Build tables of the scorer, of the loads, of the soak and of the memory."""
    yield _build_scorer_table(result)
    yield _build_load_table("the service, in turns with the bare scorer", result.loads)
    if result.soak:
        title = f"the service for {result.soak_minutes:g} minutes"
        yield _build_load_table(title, result.soak)
    if result.memory:
        yield _build_memory_table(result)


def draw_service_benchmark(result: ServiceBenchResult) -> bytes:
    """Draw throughput and latency by clients, and the memory of the processes, as a PNG."""
    figure = Figure(figsize=(14, 4.2), layout="constrained")
    speed, latency, memory = figure.subplots(1, 3)
    for images in sorted({load.images for load in result.loads}):
        loads = [load for load in result.loads if load.images == images]
        clients = [str(load.clients) for load in loads]
        label = f"{images} per request"
        speed.plot(clients, [load.pairs_per_s for load in loads], "o-", label=label)
        (line,) = latency.plot(
            clients, [load.p50_ms for load in loads], "o-", label=f"{label}, p50"
        )
        latency.plot(
            clients,
            [load.p99_ms for load in loads],
            "o:",
            color=line.get_color(),
            label=f"{label}, p99",
        )
    speed.axhline(result.scorer.pairs_per_s, color="black", linestyle="--", label="bare scorer")
    speed.set_ylabel("pairs per second")
    speed.set_ylim(bottom=0)
    latency.set_ylabel("ms per request with a known reference")
    latency.set_yscale("log")
    for axes in (speed, latency):
        axes.set_xlabel("clients")
        axes.legend()
    names = [process.name for process in result.memory]
    memory.barh(names, [process.end_mib for process in result.memory], color="tab:blue")
    memory.plot([process.start_mib for process in result.memory], names, "|", color="black")
    memory.invert_yaxis()
    memory.set_xlabel("MiB resident at the end; black: at the start")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    return buffer.getvalue()


def _build_scorer_table(result: ServiceBenchResult) -> Table:
    scorer = result.scorer
    title = (
        f"the bare scorer, {result.threads} threads, {result.width} x {result.height}, "
        f"{result.per_reference} distorted images per reference"
    )
    table = _build_table(title, "", "")
    table.add_row("pairs/s, beside the idle service", f"{scorer.pairs_per_s:.2f}")
    table.add_row("pairs/s, before the service started", f"{scorer.quiet_pairs_per_s:.2f}")
    table.add_row("ms to decode and score an image", f"{scorer.pair_ms:.1f}")
    table.add_row("ms to decode and prepare a reference", f"{scorer.reference_ms:.1f}")
    return table


def _build_load_table(title: str, loads: Sequence[LoadResult]) -> Table:
    table = _build_table(
        title,
        "clients, images per request",
        "requests",
        "pairs/s",
        "of the scorer",
        "p50 ms",
        "p99 ms",
        "new reference, p50 ms",
        "overhead ms",
        "wrong",
        "lost",
        "errors",
        "prepared again",
        "clients' CPU",
    )
    for load in loads:
        errors = ", ".join(f"{count} x {kind}" for kind, count in load.errors.items())
        table.add_row(
            f"{load.clients}, {load.images}",
            str(load.requests),
            f"{load.pairs_per_s:.2f}",
            f"{load.ratio:.1%}",
            f"{load.p50_ms:.0f}",
            f"{load.p99_ms:.0f}",
            f"{load.first_p50_ms:.0f}",
            "" if load.overhead_ms is None else f"{load.overhead_ms:.1f}",
            str(load.wrong),
            str(load.lost),
            errors or "0",
            str(load.prepared_again),
            f"{load.client_share:.1%}",
        )
    return table


def _build_memory_table(result: ServiceBenchResult) -> Table:
    table = _build_table(
        "resident memory of the service's processes, MiB; growth over the second half",
        "process",
        "start",
        "end",
        "MiB/minute",
    )
    for process in result.memory:
        sizes = (process.start_mib, process.end_mib, process.slope_mib_per_minute)
        table.add_row(process.name, *(f"{size:.1f}" for size in sizes))
    return table


def _build_table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table
