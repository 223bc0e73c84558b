"""`roi-ray bench`: measure speed against a plain loop, other libraries, and the machine's limit."""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roi_ray.bench.options import SaliencyName
from roi_ray.cli.exits import exit_with_message
from roi_ray.settings import Precision, Settings

if TYPE_CHECKING:
    from rich.table import Table

    from roi_ray.bench.service.options import ServiceBenchOptions

_SIZE = re.compile(r"(\d{1,6})(?:x(\d{1,6}))?")
_MEGAPIXELS = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)MP", re.IGNORECASE)

_SERVICE_PANEL = "The service (--service)"

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
            "torchmetrics, pyiqa; empty for none."
        ),
    ] = "naive",
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

    Exit codes: 0 if everything was measured; 2 if the arguments cannot be used or a library is not
    installed.
    """
    counts = _parse_numbers("--per-reference", per_reference)
    rivals = [name.strip() for name in against.split(",") if name.strip()]
    sizes_to_measure = _parse_sizes(sizes)
    if rivals and not service and min(sizes_to_measure[0]) < _MIN_SIDE:
        raise typer.BadParameter(
            f"--sizes {sizes!r}: other libraries need images of at least {_MIN_SIDE} pixels"
        )

    from roi_ray.sweep import photographs

    files = _list_files(images) if images else list(photographs().values())
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
    result = run_benchmark(options, _report)
    _show(build_tables(result), result.as_json(), draw_benchmark(result), output / "bench")


def _bench_service(options: "ServiceBenchOptions", path: Path) -> None:
    """Measure the service."""
    from roi_ray.bench.service.run import run_service_benchmark
    from roi_ray.report.bench_service import build_service_tables, draw_service_benchmark

    result = run_service_benchmark(options, _report)
    _show(build_service_tables(result), result.as_json(), draw_service_benchmark(result), path)


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


def _list_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")


def _parse_sizes(text: str) -> list[tuple[int, int]]:
    """Parse `--sizes`: heights and widths."""
    sizes = []
    for part in text.split(","):
        if match := _SIZE.fullmatch(part.strip()):
            width, height = int(match[1]), int(match[2] or match[1])
        elif match := _MEGAPIXELS.fullmatch(part.strip()):
            width = round((1_500_000 * float(match[1])) ** 0.5)
            height = round(width / 1.5)
        else:
            width = height = 0
        if not width or not height:
            raise typer.BadParameter(
                f"--sizes {text!r}: give sizes such as 512, 6000x4000 or 24MP, separated by commas"
            )
        sizes.append((height, width))
    return sizes


def _parse_numbers(option: str, text: str) -> list[int]:
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(
            f"{option} {text!r}: give whole numbers separated by commas"
        ) from error
    if min(numbers) < 1:
        raise typer.BadParameter(f"{option} {text!r}: give numbers of at least 1")
    return numbers
