"""`roi-ray report`: the page that says which codec of a sweep wins."""

from typing import Annotated

import typer

from roi_ray.cli import options as cli
from roi_ray.cli.exits import exit_with_message
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL, MAX_PIXELS


@exit_with_message
def main(
    scores: cli.DecidedScores,
    *,
    output: Annotated[
        str, typer.Option(help="HTML file to write, local or s3://. It is replaced if it exists.")
    ] = "report.html",
    anchor: cli.Anchor = None,
    metric: cli.DecisionMetrics = None,
    codec: cli.DecisionCodecs = None,
    group_by: cli.GroupBy = None,
    model: cli.PreferenceModelName = DEFAULT_PREFERENCE_MODEL,
    pictures: Annotated[
        int,
        typer.Option(
            min=0, help="Most places of images in the gallery; 0 for a page without pictures."
        ),
    ] = 12,
    manifest: cli.RunManifest = None,
    saliency: cli.RunSaliency = None,
    max_pixels: cli.MaxPixels = MAX_PIXELS,
    allow_prefix: cli.AllowPrefix = None,
) -> None:
    """Write a page that says which codec of a sweep wins, by how much, where, and how surely.

    The page is one HTML file that needs no network: BD-rates with intervals, predicted preference,
    curves, a gallery of the images where codecs and metrics differ most, and what is wrong with the
    scores. The gallery reads the images again.

    Exit codes: 0 if the page is written; 2 if the arguments, the scores or the output cannot be
    used.
    """
    from roi_ray.io import storage
    from roi_ray.report.write import write_report
    from roi_ray.runtime.logs import escape_line

    decision = write_report(
        scores,
        output,
        anchor=anchor,
        metrics=metric,
        codecs=codec,
        group_by=group_by or (),
        model=model,
        pictures=pictures,
        allow_prefixes=allow_prefix or (),
        manifest=manifest,
        saliency=saliency,
        max_pixels=max_pixels,
    )
    for sentence in decision.verdict:
        print(escape_line(sentence))
    print(f"-> {storage.absolute(output)}")
