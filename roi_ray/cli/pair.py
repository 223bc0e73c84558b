"""`roi-ray pair`: print the numbers of a few images, with no manifest and no Ray."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import EXIT_TOO_MANY_FAILED, exit_with_message
from roi_ray.errors import ImageError, SizeMismatch
from roi_ray.runtime.logs import escape_line
from roi_ray.settings import (
    DEFAULT_DISCRIMINATOR,
    DEFAULT_LPIPS,
    DEFAULT_SALIENCY,
    MAX_PIXELS,
    Settings,
)

if TYPE_CHECKING:
    from roi_ray.schema import Scores
    from roi_ray.scoring.prepared import Prepared
    from roi_ray.scoring.scorer import Scorer


@exit_with_message
def main(
    original: Annotated[
        str, typer.Argument(help="The original image: a path or s3:// URI.", metavar="ORIGINAL")
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            help="Decoded images of the size of the original: paths or s3:// URIs.",
            metavar="IMAGE",
        ),
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON with all columns and the weights' identity.")
    ] = False,
    mask: Annotated[
        str | None,
        typer.Option(
            help="Grey image of the size of the original that is the mask itself: white (255) "
            "inside the region of interest, black outside. Rounded to 8 bits. Replaces the mask of "
            "the saliency network.",
            show_default=False,
        ),
    ] = None,
    lpips: cli.LpipsOption = DEFAULT_LPIPS,
    saliency: cli.SaliencyOption = DEFAULT_SALIENCY,
    discriminator: cli.DiscriminatorOption = DEFAULT_DISCRIMINATOR,
    roi_weighting: cli.RoiWeighting = "mean",
    precision: cli.Precision = "fp32",
    metrics: cli.Metrics = None,
    weights_dir: cli.WeightsDir = None,
    allow_slow_precision: cli.AllowSlowPrecision = False,
    device: cli.LocalDevice = "auto",
    max_pixels: cli.MaxPixels = MAX_PIXELS,
) -> None:
    """Print the scores of a few decoded images of one original, without a manifest and without Ray.

    An image that cannot be scored gets a line with its error; the others are still scored.

    Exit codes: 0 if every image has scores; 2 if the arguments, the original, the mask or the
    weights cannot be used; 3 if an image could not be scored.
    """
    from roi_ray.imaging.load import load_image, load_mask

    # Load files before importing torch, which takes seconds: a wrong path is reported at once.
    pixels = load_image(original, max_pixels)
    roi_mask = load_mask(mask, max_pixels) if mask is not None else None

    from roi_ray.scoring.scorer import Scorer

    settings = Settings(
        lpips, saliency, discriminator, roi_weighting, precision, tuple(metrics or ())
    )
    scorer = Scorer(
        settings, device, weights_dir=weights_dir, allow_slow_precision=allow_slow_precision
    )
    try:
        prepared = scorer.prepare(pixels, roi_mask)
    except ImageError as error:
        unusable = mask if isinstance(error, SizeMismatch) else original
        raise type(error)(f"{unusable}: {error}") from error
    results = [_score_image(scorer, prepared, image, max_pixels) for image in images]
    if as_json:
        print(_to_json(original, mask, scorer, results))
    else:
        print(_to_table(results, settings))
    if any(result.error for result in results):
        raise typer.Exit(EXIT_TOO_MANY_FAILED)


@dataclass(frozen=True)
class _Result:
    """Scores of one image, or an error that names the image."""

    image: str
    scores: "Scores | None" = None
    error: ImageError | None = None


def _score_image(scorer: "Scorer", prepared: "Prepared", image: str, max_pixels: int) -> _Result:
    from roi_ray.imaging.load import load_image

    try:
        pixels = load_image(image, max_pixels)
    except ImageError as error:
        return _Result(image, error=error)
    try:
        return _Result(image, scorer.score(prepared, [pixels])[0])
    except ImageError as error:
        return _Result(image, error=type(error)(f"{image}: {error}"))


def _to_json(original: str, mask: str | None, scorer: "Scorer", results: Sequence[_Result]) -> str:
    from roi_ray import schema

    images: list[dict[str, Any]] = []
    for result in results:
        numbers = result.scores.to_dict() if result.scores else {}
        images.append(
            {
                "image": result.image,
                # JSON has no infinity and no NaN.
                **{
                    name: None if value is None or not math.isfinite(value) else value
                    for name, value in numbers.items()
                },
                schema.ERROR_KIND: type(result.error).__name__ if result.error else None,
                schema.ERROR: str(result.error) if result.error else None,
            }
        )
    document = {
        "original": original,
        "mask": mask,
        "settings": asdict(scorer.settings),
        "weights": scorer.provenance,
        "images": images,
    }
    return json.dumps(document, indent=2)


_HEADER = ("PSNR", "MS-SSIM", "LPIPS", "D loss")
_LEGEND = (
    "Higher is better: PSNR (dB, at most 100) and MS-SSIM (at most 1).\n"
    "Lower is better: LPIPS and D loss (discriminator loss, nat).\n"
    "ROI: mean of the mask, the share of the image inside the region of interest."
)
_NO_REGION = "No region of interest: the mask is empty, so that nothing is measured under it (-)."
_MEAN = "Values of the region depend on ROI; --roi-weighting normalised divides by it."


def _to_table(results: Sequence[_Result], settings: Settings) -> str:
    """Format the scores: one line per image, its name last so that it may have any length."""
    from roi_ray import schema

    default = schema.make_scores_schema().names
    optional = [
        name
        for name in schema.make_scores_schema(settings.metrics).names
        if name not in default and not name.startswith("roi_")
    ]
    whole = (*schema.BASIC_FEATURES, *optional)
    columns = (*whole, *(f"roi_{name}" for name in whole), "roi_fraction")
    rows = [
        [_format(name, getattr(result.scores, name)) for name in columns]
        if result.scores
        else ["-"] * len(columns)
        for result in results
    ]
    header = [*_HEADER, *optional, *_HEADER, *optional, "ROI"]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    count = len(whole)

    def join(cells: Sequence[str]) -> str:
        # Leave wider gaps between the whole image, the region of interest, and its share.
        cells = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return "   ".join(["  ".join(cells[:count]), "  ".join(cells[count:-1]), cells[-1]])

    start = len("  ".join(" " * width for width in widths[:count])) + 3
    lines = [f"{'whole image'.ljust(start)}region of interest", f"{join(header)}  image"]
    for row, result in zip(rows, results, strict=True):
        error = result.error
        text = f"{type(error).__name__}: {error}" if error else result.image
        lines.append(f"{join(row)}  {escape_line(text)}")
    lines += ["", _LEGEND]
    for name in optional:
        meaning = schema.MEANINGS[name]
        lines.append(f"{str(meaning.better).capitalize()} is better: {name} ({meaning.text}).")
    if any(result.scores is not None and result.scores.roi_psnr is None for result in results):
        lines.append(_NO_REGION)
    elif settings.roi_weighting == "mean":
        lines.append(_MEAN)
    return "\n".join(lines)


def _format(name: str, value: float | None) -> str:
    from roi_ray import schema

    if value is None:
        return "-"
    return f"{value:.{2 if schema.MEANINGS[name].unit == 'dB' else 4}f}"
