"""`roi-ray gate`: is the candidate build of a codec worse than its baseline?"""

import math
from time import perf_counter
from typing import Annotated

import typer

from roi_ray.cli.exits import exit_with_message
from roi_ray.errors import UsageError

EXIT_WORSE = 1
"""A codec is worse than its baseline, or not proven to be as good where proof is required."""


@exit_with_message
def main(
    *,
    baseline: Annotated[
        str,
        typer.Option(help="Scores of the baseline: a folder or s3:// prefix of `roi-ray score`."),
    ],
    candidate: Annotated[str, typer.Option(help="Scores of the candidate, of the same images.")],
    metric: Annotated[
        list[str],
        typer.Option(
            metavar="METRIC[=LIMIT]",
            help="Metric to compare by, such as roi_lpips, or ms_ssim=1.0 with a limit of its own. "
            "Repeatable; all must be within their limits.",
            show_default=False,
        ),
    ],
    max_bd_rate: Annotated[
        float,
        typer.Option(
            help="Largest BD-rate that is allowed, in percent: how many more bits the candidate "
            "may need for the same quality, as mean over images."
        ),
    ] = 0.5,
    max_image_bd_rate: Annotated[
        float,
        typer.Option(help="Largest BD-rate of any single image, in percent."),
    ] = 100.0,
    require_proof: Annotated[
        bool,
        typer.Option(
            "--require-proof",
            help="Fail unless it is proven that the BD-rate is within the limit. Otherwise doubt "
            "passes with a warning.",
        ),
    ] = False,
    codec: Annotated[
        list[str] | None,
        typer.Option(
            help="Codec to compare. Repeatable.", show_default="all codecs of the baseline"
        ),
    ] = None,
    baseline_codec: Annotated[
        str | None,
        typer.Option(
            help="Codec of the baseline, if it has another name in the candidate.",
            show_default=False,
        ),
    ] = None,
    candidate_codec: Annotated[
        str | None,
        typer.Option(
            help="Codec of the candidate, if it has another name in the baseline.",
            show_default=False,
        ),
    ] = None,
    common_images: Annotated[
        bool,
        typer.Option(
            "--common-images",
            help="Allow that the candidate lacks images of the baseline, such as in a short run.",
        ),
    ] = False,
    junit: Annotated[
        str | None,
        typer.Option(metavar="FILE.xml", help="Write JUnit XML.", show_default=False),
    ] = None,
    markdown: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.md", help="Write Markdown for a pull request.", show_default=False
        ),
    ] = None,
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE.json",
            help="Write everything as JSON, with the BD-rate of each image.",
            show_default=False,
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=100, help="Bootstrap resamples of the images, for intervals.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
) -> None:
    """Fail if a codec needs more bits than its baseline for the same quality: a gate for CI.

    Computes BD-rates of the candidate against the baseline over the images that both have, matched
    by URI, else by file name. The interval over images decides: better, within the limit, not
    proven, or worse. A candidate that lacks images or cells of the baseline, has more failed rows,
    or broken curves fails, too. The files are written whatever the verdict.

    Exit codes: 0 if the candidate passes; 1 if it fails: it is worse, broken, or, with
    --require-proof, not proven to be within the limit; 2 if the arguments or scores cannot be used,
    such as scores of different settings, a missing codec or metric, or too few common images.
    """
    import json

    from rich.console import Console

    from roi_ray.decision.gate.gate import run_gate
    from roi_ray.io import storage
    from roi_ray.report.gate.junit import to_junit
    from roi_ray.report.gate.markdown import to_markdown
    from roi_ray.report.gate.tables import (
        describe_verdict,
        gate_to_dict,
        list_sentences,
        make_gate_table,
    )
    from roi_ray.runtime.logs import escape_line

    start = perf_counter()
    gate = run_gate(
        baseline,
        candidate,
        parse_limits(metric, max_bd_rate),
        codecs=codec or (),
        baseline_codec=baseline_codec,
        candidate_codec=candidate_codec,
        max_image_bd_rate=max_image_bd_rate,
        require_proof=require_proof,
        common_images=common_images,
        resamples=resamples,
        seed=seed,
    )
    seconds = perf_counter() - start
    if junit:
        storage.write_bytes(storage.absolute(junit), to_junit(gate, seconds))
    if markdown:
        storage.write_bytes(storage.absolute(markdown), to_markdown(gate).encode())
    if json_file:
        text = json.dumps(gate_to_dict(gate), indent=2, allow_nan=False) + "\n"
        storage.write_bytes(storage.absolute(json_file), text.encode())
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(describe_verdict(gate), style="bold")
    console.print(f"{gate.images.describe()}\n", soft_wrap=True)
    console.print(make_gate_table(gate, console.width))
    for number, (kind, sentence) in enumerate(list_sentences(gate)):
        console.print(("" if number else "\n") + escape_line(f"{kind}: {sentence}"), soft_wrap=True)
    if not gate.passes:
        raise typer.Exit(EXIT_WORSE)


def parse_limits(metrics: list[str], limit: float) -> dict[str, float]:
    """Parse `METRIC` and `METRIC=LIMIT`.

    Raises:
        UsageError: a limit is not a number.
    """
    limits: dict[str, float] = {}
    for text in metrics:
        name, has_limit, value = text.partition("=")
        try:
            number = float(value) if has_limit else limit
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(f"--metric {text}: {value!r} is not a limit in percent")
        if limits.setdefault(name, number) != number:
            raise UsageError(f"--metric {name} is given twice, with different limits")
    return limits
