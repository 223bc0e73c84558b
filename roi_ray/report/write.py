"""The report of a sweep: read its scores, decide, choose pictures, and write one HTML file."""

from collections.abc import Collection, Sequence
from os import PathLike, fspath

from roi_ray import schema
from roi_ray.decision.decide import Decision, decide
from roi_ray.decision.highlights.choose import choose_highlights
from roi_ray.errors import UsageError
from roi_ray.io import storage
from roi_ray.report.gallery.gallery import make_gallery
from roi_ray.report.page.page import write_page
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL, MAX_PIXELS

DEFAULT_PICTURES = 12
_SUFFIXES = (".html", ".htm")


def write_report(
    scores: str | PathLike[str],
    output: str | PathLike[str],
    *,
    anchor: str | None = None,
    metrics: Sequence[str] | None = None,
    codecs: Sequence[str] | None = None,
    group_by: Sequence[str] = (),
    model: str | None = DEFAULT_PREFERENCE_MODEL,
    pictures: int = DEFAULT_PICTURES,
    allow_prefixes: Collection[str] = (),
    manifest: str | None = None,
    saliency: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Decision:
    """Write a page that says which codec of a sweep wins, by how much, where, and how surely.

    The page is one HTML file that needs no network. Its pictures are crops of the images that the
    scores name, read again; everything else comes from the scores.

    Args:
        scores: output of `score_manifest`, or a table of scores; see
            `roi_ray.decision.decide.decide`.
        output: HTML file to write, local or `s3://`. It is replaced if it exists.
        anchor: see `decide`.
        metrics: see `decide`.
        codecs: see `decide`.
        group_by: see `decide`.
        model: see `decide`.
        pictures: the most places of images that the gallery shows; 0 for a page without pictures.
        allow_prefixes: folders that images may be in, besides that of the run's manifest.
        manifest: URI of the run's manifest if it was moved; relative URIs start from its folder.
        saliency: path or URI of the run's saliency network, if it is not the packaged one.
        max_pixels: largest image that is decoded for the gallery.

    Returns:
        the decision that the page shows.

    Raises:
        UsageError: the output is not named as an HTML file, or an option names what the scores do
            not have.
        ManifestError: the scores cannot be compared.
        StorageError: the scores cannot be read, or the page cannot be written.

    Examples:
        >>> import tempfile
        >>> import roi_ray
        >>> from roi_ray.sweep import photographs
        >>> folder = tempfile.mkdtemp()
        >>> sweep = roi_ray.make_sweep(photographs()["chelsea"], folder, ["jpeg", "webp"])
        >>> scored = roi_ray.score_manifest(sweep.manifest, f"{folder}/scores")
        >>> decision = write_report(f"{folder}/scores", f"{folder}/report.html")
        >>> decision.anchor, decision.metrics[0]
        ('jpeg', 'ms_ssim')
    """
    output = storage.absolute(fspath(output))
    if not output.lower().endswith(_SUFFIXES):
        raise UsageError(f"the report is an HTML file: name it {output.rstrip('/')}.html")
    decision = decide(
        fspath(scores),
        anchor=anchor,
        metrics=metrics,
        codecs=codecs,
        group_by=group_by,
        model=model,
    )
    gallery = None
    if pictures and schema.DISTORTED in decision.scores.column_names:
        highlights = choose_highlights(
            decision.scores,
            decision.preference,
            decision.metrics,
            decision.codecs,
            limit=pictures,
        )
        gallery = make_gallery(
            decision.scores,
            highlights,
            allow_prefixes=allow_prefixes,
            base=None if manifest is None else storage.parent(storage.absolute(manifest)),
            max_pixels=max_pixels,
            metrics=decision.metrics,
            saliency=saliency,
        )
    storage.write_bytes(output, write_page(decision, gallery))
    return decision
