"""`roi-ray bench`: measure speed against a plain loop, other libraries, and the machine's limit."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import typer

from roi_ray.bench.arguments import (
    check_options,
    list_files,
    parse_numbers,
    parse_sizes,
    parse_times,
)
from roi_ray.cli import bench_options as own
from roi_ray.cli.exits import EXIT_OFF, exit_with_message
from roi_ray.errors import UsageError
from roi_ray.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

    from roi_ray.bench.compare.run import CompareOptions
    from roi_ray.bench.options import BenchOptions
    from roi_ray.bench.scaling import ScalingOptions
    from roi_ray.bench.service.options import ServiceBenchOptions

_MIN_SIDE = 161
"""Smallest side in pixels of which pytorch_msssim computes five scales."""


@exit_with_message
def main(
    context: typer.Context,
    *,
    quick: own.Quick = False,
    service: own.Service = False,
    minutes: own.Minutes = 0,
    url: own.Url = None,
    compare: own.Compare = None,
    compare_source: own.CompareSource = None,
    tolerance: own.Tolerance = 0.1,
    scaling: own.Scaling = None,
    scaling_ms: own.ScalingMs = None,
    no_ray: own.NoRay = False,
    sizes: own.Sizes = "512",
    per_reference: own.PerReference = "8,24,1,2,4,16",
    against: own.Against = "naive,pytorch_msssim",
    saliency: own.Saliency = "u2netp",
    precision: own.Precision = "fp32",
    device: own.Device = "auto",
    batch: own.Batch = None,
    threads: own.Threads = None,
    references: own.References = None,
    decoded: own.Decoded = False,
    rounds: own.Rounds = 5,
    job_pairs: own.JobPairs = 640,
    images: own.Images = None,
    output: own.Output = Path("out/bench"),
) -> None:
    """Measure speed against a plain loop, other libraries, and the limit of the machine.

    Every figure is the median of interleaved rounds of one run, so ratios within a run can be
    trusted; times of different runs cannot be compared. Needs the extra `bench`.

    Exit codes: 0 if everything was measured; 1 if --compare finds that a piece of work is slower,
    or that numbers differ; 2 if the arguments cannot be used or a library is not installed.
    """
    counts = parse_numbers("--per-reference", per_reference)
    rivals = [name.strip() for name in against.split(",") if name.strip()]
    sizes_to_measure = parse_sizes(sizes)
    compares = compare is not None or compare_source is not None
    measurement = _choose(service=service, compare=compares, scaling=scaling is not None)
    check_options(measurement, _list_given(context))
    if rivals and not measurement and min(sizes_to_measure[0]) < _MIN_SIDE:
        raise UsageError(
            f"--sizes {sizes!r}: other libraries need images of at least {_MIN_SIDE} pixels"
        )

    from roi_ray.sweep import photographs

    files = list_files(images) if images else list(photographs().values())
    output.mkdir(parents=True, exist_ok=True)
    if service:
        from roi_ray.bench.service.options import LOADS, QUICK_LOADS, ServiceBenchOptions

        service_options = ServiceBenchOptions(
            photographs=files,
            size=sizes_to_measure[0],
            per_reference=counts[0],
            threads=threads or len(os.sched_getaffinity(0)),
            rounds=1 if quick else rounds,
            minutes=minutes,
            url=url,
            turn_pairs=16 if quick else 96,
            loads=QUICK_LOADS if quick else LOADS,
        )
        _bench_service(service_options, output / "bench-service")
        return

    if scaling is not None:
        from roi_ray.bench.scaling import ScalingOptions

        scaling_options = ScalingOptions(
            photographs=files,
            actors=parse_numbers("--scaling", scaling),
            times=parse_times(scaling_ms),
            size=sizes_to_measure[0],
            per_reference=counts[0],
            decoded=decoded,
        )
        _bench_scaling(scaling_options, output / "bench-scaling.json")
        return

    import torch

    from roi_ray.bench.options import BenchOptions
    from roi_ray.bench.run import run_benchmark
    from roi_ray.report.bench import build_tables, draw_benchmark
    from roi_ray.runtime.device import find_device
    from roi_ray.runtime.memory import keep_freed_memory

    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()
    options = BenchOptions(
        photographs=files,
        rivals=rivals,
        sizes=sizes_to_measure,
        per_reference=counts[:1] if quick else counts,
        saliency=saliency,
        settings=Settings(precision=precision),
        device=device,
        batch=batch,
        references=references or (8 if find_device(device).type == "cuda" else 1),
        decoded=decoded,
        rounds=2 if quick else rounds,
        job_pairs=0 if quick or no_ray else job_pairs,
        engines=() if quick else ("local",) if no_ray else ("local", "ray"),
    )
    if compares:
        from roi_ray.bench.compare.run import CompareOptions

        compare_options = CompareOptions(compare, compare_source, tolerance, threads)
        _compare(options, compare_options, output / "bench-compare")
        return
    result = run_benchmark(options, _report)
    _show(build_tables(result), result.as_json(), draw_benchmark(result), output / "bench")


def _choose(**chosen: bool) -> str:
    """Return the option that chooses another measurement; empty if none does.

    Raises:
        UsageError: several do.
    """
    names = [f"--{name}" for name, is_chosen in chosen.items() if is_chosen]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} are different measurements; choose one")
    return names[0] if names else ""


def _list_given(context: typer.Context) -> list[str]:
    """List the options of the command line, as names of parameters."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]


def _compare(options: "BenchOptions", compare_options: "CompareOptions", path: Path) -> None:
    """Compare today's code with that of an earlier run; exit with 1 if it fails."""
    from roi_ray.bench.compare.run import run_comparison
    from roi_ray.report.bench_compare import build_compare_tables, draw_comparison, write_verdict

    result = run_comparison(options, compare_options, _report)
    _show(build_compare_tables(result), result.as_json(), draw_comparison(result), path)
    print(write_verdict(result))
    if not result.has_passed:
        raise typer.Exit(EXIT_OFF)


def _bench_service(options: "ServiceBenchOptions", path: Path) -> None:
    """Measure the service."""
    from roi_ray.bench.service.run import run_service_benchmark
    from roi_ray.report.bench_service import build_service_tables, draw_service_benchmark

    result = run_service_benchmark(options, _report)
    _show(build_service_tables(result), result.as_json(), draw_service_benchmark(result), path)


def _bench_scaling(options: "ScalingOptions", path: Path) -> None:
    """Measure how a job scales."""
    from rich.console import Console

    from roi_ray.bench.scaling import measure_scaling
    from roi_ray.report.bench_scaling import build_scaling_table

    with TemporaryDirectory() as folder:
        result = measure_scaling(options, Path(folder), _report)
    path.write_text(json.dumps(result.as_json(), indent=2) + "\n")
    console = Console()
    console.print(build_scaling_table(result))
    console.print(path)


def _report(text: str) -> None:
    """Print what is measured next."""
    from rich.console import Console

    Console().print(f"... {text}", style="dim")


def _show(tables: Iterable["Table"], values: dict[str, Any], picture: bytes, path: Path) -> None:
    """Print the tables of a measurement, and write its JSON and its picture next to each other."""
    from rich.console import Console

    console = Console()
    for table in tables:
        console.print(table)
    path.with_suffix(".json").write_text(json.dumps(values, indent=2) + "\n")
    path.with_suffix(".png").write_bytes(picture)
    console.print(f"{path.with_suffix('.json')}, {path.with_suffix('.png')}")
