"""Measure how fast roi-ray is: against a plain loop, other libraries, and the machine's limit.

python jobs/bench.py --quick
python jobs/bench.py --against naive,torchmetrics
"""

import json
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from roi_ray.bench.options import SaliencyName
from roi_ray.bench.run import BenchOptions, run_benchmark
from roi_ray.cli.exits import exit_with_message
from roi_ray.report.bench import build_tables, draw_benchmark
from roi_ray.runtime.device import find_device
from roi_ray.runtime.memory import keep_freed_memory
from roi_ray.settings import Precision, Settings
from roi_ray.sweep import photographs

_LEAST = 161
"""pytorch_msssim's least side, in pixels, with five scales."""


@exit_with_message
def main(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="One K, two rounds, no job: less than a minute.")
    ] = False,
    no_ray: Annotated[bool, typer.Option("--no-ray", help="Leave the job out.")] = False,
    sizes: Annotated[str, typer.Option(help="Sides of square images, in pixels.")] = "512",
    per_reference: Annotated[
        str, typer.Option(help="Images of a reference (K); the rivals meet the first two.")
    ] = "8,24,1,2,4,16",
    against: Annotated[
        str, typer.Option(help="Rivals: naive, torchmetrics, pyiqa; or an empty text.")
    ] = "naive",
    saliency: Annotated[SaliencyName, typer.Option(help="N of all contenders.")] = "u2netp",
    precision: Annotated[Precision, typer.Option(help="Of roi-ray's networks.")] = "fp32",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images that go through roi-ray's networks at once.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the CPU; else all.")] = None,
    references: Annotated[
        int | None, typer.Option(min=1, help="Scored together. Default: 1; 8 on a GPU.")
    ] = None,
    decoded: Annotated[
        bool, typer.Option("--decoded", help="Images are in memory already, not in files.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count.")] = 5,
    job_pairs: Annotated[int, typer.Option(min=96, help="Pairs of the job.")] = 640,
    images: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Folder of photographs, in place of scikit-image's."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for bench.json and bench.png.")
    ] = Path("out/bench"),
) -> None:
    """Every figure is a median of interleaved rounds of one run: trust the ratios."""
    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()
    console = Console()
    counts = _numbers("--per-reference", per_reference)
    rivals = [name.strip() for name in against.split(",") if name.strip()]
    sides = _numbers("--sizes", sizes)
    if rivals and sides[0] < _LEAST:
        raise typer.BadParameter(f"--sizes {sizes!r}: rivals take no images below {_LEAST} pixels")
    plan = BenchOptions(
        photographs=_files(images) if images else list(photographs().values()),
        rivals=rivals,
        sizes=sides,
        per_reference=counts[:1] if quick else counts,
        saliency=saliency,
        settings=Settings(precision=precision),
        device=device,
        batch=batch,
        references=references or (8 if find_device(device).type == "cuda" else 1),
        decoded=decoded,
        rounds=2 if quick else rounds,
        job_pairs=0 if quick or no_ray else job_pairs,
    )
    output.mkdir(parents=True, exist_ok=True)
    result = run_benchmark(plan, say=lambda text: console.print(f"... {text}", style="dim"))
    for table in build_tables(result):
        console.print(table)
    (output / "bench.json").write_text(json.dumps(result.as_json(), indent=2) + "\n")
    (output / "bench.png").write_bytes(draw_benchmark(result))
    console.print(f"{output / 'bench.json'}, {output / 'bench.png'}")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")


def _numbers(option: str, text: str) -> list[int]:
    try:
        numbers = [int(number) for number in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text!r}: whole numbers with commas between") from error
    if min(numbers) < 1:
        raise typer.BadParameter(f"{option} {text!r}: 1 or more")
    return numbers
