"""`roi-ray verify`: check the scores of some pairs against the reference implementations."""

import json
import math
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import EXIT_INCOMPLETE, EXIT_OFF, exit_with_message
from roi_ray.runtime.logs import escape_line
from roi_ray.runtime.words import count_noun

if TYPE_CHECKING:
    from roi_ray.verification.result import ColumnResult, Verification


@exit_with_message
def main(
    scores: Annotated[
        str,
        typer.Argument(
            help="Folder or s3:// prefix that `roi-ray score` has written to.", metavar="SCORES"
        ),
    ],
    *,
    pairs: Annotated[int, typer.Option(min=1, help="Number of pairs to draw at random.")] = 20,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the draw: the same seed draws the same pairs.")
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON with everything that was found.")
    ] = False,
    manifest: cli.RunManifest = None,
    saliency: cli.RunSaliency = None,
    discriminator: Annotated[
        str | None,
        typer.Option(
            help="The run's discriminator: path or s3:// URI.", show_default="the packaged one"
        ),
    ] = None,
    weights_dir: cli.WeightsDir = None,
    device: cli.LocalDevice = "cpu",
    allow_prefix: cli.AllowPrefix = None,
) -> None:
    """Compute some pairs of an output again, by other code, and say how far each column is off.

    Reads the image files of the drawn pairs again. MS-SSIM comes from pytorch_msssim, LPIPS from
    the lpips package (for st-alex and st-vgg from stlpips_pytorch, which needs IPython), mean
    squared errors from numpy, and the numbers under the mask from a slow implementation that
    follows the definition. Pairs with an error are not drawn. The result is kept in the output's
    _run/verify.json, for reports; nothing else in the output changes.

    Exit codes: 0 if every number agrees within the rounding of the run's precision; 1 if a number
    is off; 2 if the arguments, the output or the weights cannot be used, or the scores are of
    another scoring version; 4 if no number is off, but files of drawn pairs cannot be read again
    or have changed size, so that these pairs are not verified.
    """
    from roi_ray.errors import StorageError
    from roi_ray.verification.record import write_record
    from roi_ray.verification.verify import verify_scores

    result = verify_scores(
        scores,
        pairs,
        seed=seed,
        manifest=manifest,
        allow_prefixes=tuple(allow_prefix or ()),
        saliency=saliency,
        discriminator=discriminator,
        weights_dir=weights_dir,
        device=device,
    )
    print(json.dumps(result.to_dict(), indent=2) if as_json else format_result(result))
    try:
        write_record(result)
    except StorageError as error:
        print(f"warning: the result is not kept: {escape_line(str(error))}", file=sys.stderr)
    if result.off:
        raise typer.Exit(EXIT_OFF)
    if result.unverified:
        raise typer.Exit(EXIT_INCOMPLETE)


_HEADER = ("column", "pairs", "worst", "typical", "allowed", "verdict")
_LEGEND = (
    "worst: the largest difference between the scores and the numbers computed anew, relative to "
    "what is allowed.\nallowed: the difference that rounding may cause in that pair.\n"
    "typical: the median difference of all pairs."
)


def format_result(result: "Verification") -> str:
    """Format what was found: a table of columns, what is off, and pairs that were not verified."""
    per_pair = result.seconds / max(1, result.verified)
    settings = ", ".join(f"{name} {value}" for name, value in result.settings.items())
    rows = [_HEADER, *map(_format_column, result.columns)]
    widths = [max(map(len, column)) for column in zip(*(row[:5] for row in rows), strict=True)]
    lines = [
        f"{result.output}: {result.drawn} of {result.scored} pairs drawn with seed {result.seed}; "
        f"{result.verified} computed anew on {result.device}, {per_pair:.1f} s per pair",
        f"scoring version {result.scoring_version}, {settings}",
        "",
        *(
            "  ".join(
                [row[0].ljust(widths[0])]
                + [cell.rjust(width) for cell, width in zip(row[1:5], widths[1:], strict=True)]
                + [row[5]]
            )
            for row in rows
        ),
        "",
        _LEGEND,
        "",
    ]
    for pair in result.unverified:
        text = f"{pair.pair_id} ({pair.distorted}): {pair.error_kind}: {pair.error}"
        lines.append(f"not verified: {escape_line(text)}")
    if result.foreign:
        lines.append(
            f"files torn or of another run, from which nothing was drawn: {len(result.foreign)}, "
            f"such as {result.foreign[0]}"
        )
    lines += [escape_line(_describe_worst(column)) for column in result.off]
    return "\n".join([*lines, _conclude(result)])


def _format_column(column: "ColumnResult") -> tuple[str, ...]:
    if column.verdict == "not checked":
        return (column.name, "-", "-", "-", "-", f"not checked: {column.not_checked}")
    numbers = (column.worst_difference, column.typical, column.allowed)
    verdict = f"OFF in {column.off}" if column.off else "agrees"
    return (
        column.name,
        str(column.pairs),
        *(f"{number:.1e}" if number else "0" for number in numbers),
        f"{verdict} ({column.source})",
    )


def _describe_worst(column: "ColumnResult") -> str:
    worst = column.worst
    assert worst is not None
    return (
        f"OFF: {column.name}, worst in pair {worst.pair_id} ({worst.distorted}): "
        f"{_format_number(worst.stored)} in the scores, {_format_number(worst.computed)} computed "
        "anew"
    )


def _format_number(number: float | None) -> str:
    return "null" if number is None or math.isnan(number) else f"{number:.8g}"


def _conclude(result: "Verification") -> str:
    if result.off:
        columns = count_noun(len(result.off), "column")
        return f"{columns} off: either the scores are wrong, or an image has changed since then"
    if not result.verified:
        return "no pair could be verified"
    checked = sum(column.verdict == "agrees" for column in result.columns)
    skipped = len(result.columns) - checked
    pairs, columns = count_noun(result.verified, "pair"), count_noun(checked, "column")
    text = f"all numbers of {pairs} agree, in {columns}"
    text += f"; {count_noun(skipped, 'column')} not checked" if skipped else ""
    unverified = len(result.unverified)
    text += f"; {count_noun(unverified, 'pair')} not verified" if unverified else ""
    return text
