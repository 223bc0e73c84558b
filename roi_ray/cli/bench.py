"""`roi-ray bench`: measure speed against a plain loop, other libraries, and the machine's limit."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roi_ray.bench.arguments import list_files, parse_numbers, parse_sizes, parse_times
from roi_ray.bench.options import SaliencyName
from roi_ray.cli.exits import EXIT_OFF, exit_with_message
from roi_ray.settings import Precision, Settings

if TYPE_CHECKING:
    from rich.table import Table

    from roi_ray.bench.compare.run import CompareOptions
    from roi_ray.bench.options import BenchOptions
    from roi_ray.bench.scaling import ScalingOptions
    from roi_ray.bench.service.options import ServiceBenchOptions

_SERVICE_PANEL = "The service (--service)"
_COMPARE_PANEL = "Regressions (--compare)"
_SCALING_PANEL = "Scaling (--scaling)"

_MIN_SIDE = 161
"""Smallest side in pixels of which pytorch_msssim computes five scales."""


@exit_with_message
def main(
    *,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Finish in less than a minute: two rounds, the first --per-reference, no memory, "
            "no job.",
        ),
    ] = False,
    service: Annotated[
        bool,
        typer.Option(
            "--service",
            help="Measure `roi-ray serve` instead, under locust, against the bare scorer with as "
            "many threads: 1, 4 and 16 clients, at the first of --sizes and --per-reference. "
            "Writes bench-service.json and bench-service.png. Needs the extra `service` too.",
            rich_help_panel=_SERVICE_PANEL,
        ),
    ] = False,
    minutes: Annotated[
        float,
        typer.Option(
            min=0,
            help="Minutes of a soak of the service with 4 clients, after the rounds: does its "
            "memory grow?",
            rich_help_panel=_SERVICE_PANEL,
        ),
    ] = 0,
    url: Annotated[
        str | None,
        typer.Option(
            help="Measure a service that runs here already. Numbers are equal only if it has as "
            "many --threads.",
            show_default="start one on this machine's CPUs",
            rich_help_panel=_SERVICE_PANEL,
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="bench.json of an earlier run. Measure the code of its commit instead, in turns "
            "with today's, at the first of --sizes and --per-reference. Writes bench-compare.json "
            "and bench-compare.png.",
            rich_help_panel=_COMPARE_PANEL,
        ),
    ] = None,
    compare_source: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|COMMIT",
            help="The earlier code: a folder with the package roi_ray, or a commit. Works without "
            "--compare, too.",
            show_default="the commit that the file names",
            rich_help_panel=_COMPARE_PANEL,
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0,
            help="Fail if a piece of work certainly takes longer than before by more than this "
            "share.",
            rich_help_panel=_COMPARE_PANEL,
        ),
    ] = 0.1,
    scaling: Annotated[
        str | None,
        typer.Option(
            help="Measure how a job scales instead, by simulation: numbers of actors, separated "
            "by commas, such as 2,4,8,16. The actors wait as long as they would score; all else is "
            "real. At the first of --sizes and --per-reference; --decoded leaves out decoding.",
            show_default=False,
            rich_help_panel=_SCALING_PANEL,
        ),
    ] = None,
    scaling_ms: Annotated[
        str | None,
        typer.Option(
            help="Milliseconds that an actor takes per reference and per pair, such as 60,90.",
            show_default="what scoring takes on one thread",
            rich_help_panel=_SCALING_PANEL,
        ),
    ] = None,
    no_ray: Annotated[
        bool, typer.Option("--no-ray", help="Do not measure whole jobs on Ray.")
    ] = False,
    sizes: Annotated[
        str,
        typer.Option(
            help="Sizes of the images in pixels, separated by commas: sides of squares (512), "
            "width x height (6000x4000) or megapixels (24MP, 3:2). Other libraries are measured at "
            "the first."
        ),
    ] = "512",
    per_reference: Annotated[
        str,
        typer.Option(
            help="Numbers of distorted images per reference, separated by commas. Other libraries "
            "and memory are measured at the first two."
        ),
    ] = "8,24,1,2,4,16",
    against: Annotated[
        str,
        typer.Option(
            help="Rivals to compare roi-ray with, separated by commas: naive (a plain loop), "
            "pytorch_msssim, torchmetrics, pyiqa; empty for none."
        ),
    ] = "naive,pytorch_msssim",
    saliency: Annotated[
        SaliencyName, typer.Option(help="Saliency network of everything that is measured.")
    ] = "u2netp",
    precision: Annotated[Precision, typer.Option(help="Precision of roi-ray's networks.")] = "fp32",
    device: Annotated[
        str, typer.Option(help="auto (a GPU if this machine has one), cpu or cuda.")
    ] = "auto",
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Images that go through roi-ray's networks at once.",
            show_default="1 on a CPU, 32 on a GPU",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="all")
    ] = None,
    references: Annotated[
        int | None,
        typer.Option(
            min=1, help="References that are scored together.", show_default="1; 8 on a GPU"
        ),
    ] = None,
    decoded: Annotated[
        bool,
        typer.Option("--decoded", help="Start from decoded images in memory, not from files."),
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Number of measured rounds.")] = 5,
    job_pairs: Annotated[int, typer.Option(min=96, help="Pairs of the job on Ray.")] = 640,
    images: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of photographs to measure on.",
            show_default="those of scikit-image",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for bench.json and bench.png.")
    ] = Path("out/bench"),
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
    if compares and service:
        raise typer.BadParameter("--compare and --service are two measurements; choose one")
    if rivals and not (service or compares) and min(sizes_to_measure[0]) < _MIN_SIDE:
        raise typer.BadParameter(
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
    Console().print(build_scaling_table(result))


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
