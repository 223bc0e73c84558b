"""`roi-ray pair`: the numbers of a few images, and which of two people prefer. Uses no Ray."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import EXIT_TOO_MANY_FAILED, exit_with_message
from roi_ray.errors import ImageError, SizeMismatch, UsageError
from roi_ray.settings import (
    DEFAULT_DISCRIMINATOR,
    DEFAULT_LPIPS,
    DEFAULT_PREFERENCE_MODEL,
    DEFAULT_SALIENCY,
    MAX_PIXELS,
    Settings,
)

if TYPE_CHECKING:
    from roi_ray.preference.model.preference_model import PreferenceModel
    from roi_ray.preference.pair_preference import PairPreference
    from roi_ray.schema import Scores
    from roi_ray.scoring.prepared import Prepared
    from roi_ray.scoring.scorer import Scorer


_MAX_WIDTH = 100
"""Characters of a line of text, also on a wider terminal."""


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
    prefer: Annotated[
        bool,
        typer.Option(
            "--prefer",
            help="Predict which of two images people prefer, and say which measurements decide. "
            "Metrics that the preference model needs are added.",
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Preference model of --prefer: a file that `roi-ray train` wrote.",
            show_default="the packaged one",
        ),
    ] = None,
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

    An image that cannot be scored gets a line with its error; the others are still scored. With
    --prefer, give two images, A and B; there is no prediction if one of them cannot be scored.

    Exit codes: 0 if every image has scores; 2 if the arguments, the original, the mask or the
    weights cannot be used; 3 if an image could not be scored.
    """
    from roi_ray.imaging.load import load_image, load_mask

    if prefer and len(images) != 2:
        raise UsageError(f"--prefer needs exactly two images, A and B, not {len(images)}")
    if model is not None and not prefer:
        raise UsageError("--model is the model of --prefer: give --prefer too")
    # Load files before importing torch, which takes seconds: a wrong path is reported at once.
    pixels = load_image(original, max_pixels)
    roi_mask = load_mask(mask, max_pixels) if mask is not None else None

    from roi_ray.report.pair_scores import format_scores
    from roi_ray.scoring.scorer import Scorer

    settings = Settings(
        lpips, saliency, discriminator, roi_weighting, precision, tuple(metrics or ())
    )
    preference_model = None
    if prefer:
        from roi_ray.preference.model.needs import add_needs, check_scoring
        from roi_ray.preference.model.preference_model import load_preference_model

        preference_model = load_preference_model(model or DEFAULT_PREFERENCE_MODEL)
        settings = add_needs(preference_model, settings)
    scorer = Scorer(
        settings, device, weights_dir=weights_dir, allow_slow_precision=allow_slow_precision
    )
    if preference_model is not None:
        check_scoring(preference_model, scorer.settings, scorer.provenance)
    try:
        prepared = scorer.prepare(pixels, roi_mask)
    except ImageError as error:
        unusable = mask if isinstance(error, SizeMismatch) else original
        raise type(error)(f"{unusable}: {error}") from error
    results = [_score_image(scorer, prepared, image, max_pixels) for image in images]
    preference = None if preference_model is None else _explain(preference_model, results)
    if as_json:
        document = _to_document(original, mask, scorer, results)
        if prefer:
            document["preference"] = preference.to_dict() if preference else None
        print(json.dumps(document, indent=2))
    else:
        rows = [(result.text, result.scores) for result in results]
        print(format_scores(rows, settings))
        if prefer:
            print(f"\n{_to_text(preference, *images)}")
    if any(result.error for result in results):
        raise typer.Exit(EXIT_TOO_MANY_FAILED)


@dataclass(frozen=True)
class _Result:
    """Scores of one image, or an error that names the image."""

    image: str
    scores: "Scores | None" = None
    error: ImageError | None = None

    @property
    def text(self) -> str:
        """The name of the image, or the error."""
        return f"{type(self.error).__name__}: {self.error}" if self.error else self.image


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


def _explain(model: "PreferenceModel", results: Sequence[_Result]) -> "PairPreference | None":
    """Predict which image people prefer; None if one of the two has no scores."""
    from roi_ray.preference.explanation import explain_pair

    a, b = (result.scores for result in results)
    return None if a is None or b is None else explain_pair(model, a, b)


def _to_text(preference: "PairPreference | None", a: str, b: str) -> str:
    from roi_ray.report.pair_preference import format_preference

    if preference is None:
        return "No preference is predicted: an image could not be scored."
    width = min(_MAX_WIDTH, shutil.get_terminal_size().columns)
    return format_preference(preference, a, b, width)


def _to_document(
    original: str, mask: str | None, scorer: "Scorer", results: Sequence[_Result]
) -> dict[str, Any]:
    from roi_ray.schema import Failure
    from roi_ray.scoring.entries import to_entry

    images = []
    for result in results:
        failure = Failure(type(result.error).__name__, str(result.error))
        images.append({"image": result.image, **to_entry(result.scores or failure)})
    return {
        "original": original,
        "mask": mask,
        "settings": asdict(scorer.settings),
        "weights": scorer.provenance,
        "images": images,
    }
