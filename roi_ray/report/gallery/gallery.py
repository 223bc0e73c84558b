"""The gallery of a report: cells of a sweep that are worth looking at, as a part of the page.

`page/assets/gallery.{html,css,js}` show a `Gallery`.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from roi_ray import schema
from roi_ray.decision.highlights.choose import Highlight
from roi_ray.decision.score_table import SweepScores
from roi_ray.errors import NotAllowed, RoiRayError
from roi_ray.imaging.pixels import to_8_bits
from roi_ray.io.allowlist import build_allowlist
from roi_ray.report.gallery.error_map import colour_steps
from roi_ray.report.gallery.files import GalleryFiles
from roi_ray.report.gallery.items import Gallery, Item, Side
from roi_ray.report.gallery.masks import GalleryMasks
from roi_ray.report.gallery.metrics import (
    choose_metrics,
    compare_metrics,
    format_bit_rate,
    name_point,
)
from roi_ray.report.gallery.pictures import (
    Candidate,
    Pictures,
    cut_candidate,
    encode_candidates,
    picture_name,
    to_base64,
)
from roi_ray.settings import MAX_PIXELS

DEFAULT_BUDGET = 8_000_000
"""Characters of all pictures. The rest of the page has 7 MB, and the whole must stay below 15."""

_KINDS = {
    "disagreement": "Metrics disagree",
    "difference": "Codecs differ",
    "worst": "Worst",
}


def make_gallery(
    scores: SweepScores,
    highlights: Sequence[Highlight],
    *,
    allow_prefixes: Collection[str] = (),
    base: str | None = None,
    max_pixels: int = MAX_PIXELS,
    budget_bytes: int = DEFAULT_BUDGET,
    metrics: Sequence[str] | None = None,
    saliency: str | None = None,
) -> Gallery:
    """Read the images of highlights, and cut and encode what the page shows of them.

    Every image is converted to sRGB of 8 bits, and the crops are encoded without loss: what is
    seen is what the codec made of the image. An item whose files cannot be read says why, and the
    others go on.

    Args:
        scores: the scores that the highlights are of.
        highlights: what to show, the most important first.
        allow_prefixes: folders that images may be in, besides the manifest's own.
        base: URI of the folder of the manifest, if it was moved.
        max_pixels: largest image that is decoded.
        budget_bytes: number of characters of all pictures in base64; it decides the size of the
            crops.
        metrics: metrics to show; by default those of a decision, as far as they were measured.
        saliency: path or URI of the run's saliency network, if it is not the packaged one.
    """
    base = base or scores.base or scores.uri
    files = GalleryFiles(
        base, build_allowlist(base, allow_prefixes), max_pixels, scores.run is not None
    )
    masks = GalleryMasks(files, scores.run, saliency)
    shown = choose_metrics(scores, metrics)
    items: list[Item] = []
    candidates: dict[int, Candidate] = {}
    refused: list[NotAllowed] = []
    for number, highlight in enumerate(highlights, start=1):
        rows = scores.read_rows(highlight.rows)
        item = _describe(scores, number, highlight, rows, shown)
        try:
            item, candidates[number] = _read(item, rows, files, masks)
        except RoiRayError as error:
            refused += [error] if isinstance(error, NotAllowed) else []
            item = replace(item, problem=_as_sentence(str(error)))
        items.append(item)
    encoded = encode_candidates(list(candidates.values()), budget_bytes)
    pictures = dict(zip(candidates, encoded, strict=True))
    store: dict[str, str] = {}
    for position, item in enumerate(items):
        if item.number in candidates:
            items[position] = _add_pictures(
                item, candidates[item.number], pictures[item.number], store
            )
    colours = tuple(f"rgb({r} {g} {b} / {a / 255:.2f})" for r, g, b, a in colour_steps().tolist())
    return Gallery(tuple(items), store, _advise(items, store, refused), colours)


def _describe(
    scores: SweepScores,
    number: int,
    highlight: Highlight,
    rows: Sequence[dict[str, Any]],
    metrics: Sequence[str],
) -> Item:
    sides = tuple(
        Side(
            letter,
            str(row[schema.CODEC]),
            name_point(scores, str(row[schema.CODEC]), row_number),
            format_bit_rate(row),
            str(row.get(schema.DISTORTED) or ""),
        )
        for letter, row, row_number in zip("AB", rows, highlight.rows, strict=False)
    )
    return Item(
        number,
        _KINDS[highlight.kind],
        _as_sentence(highlight.text),
        highlight.image,
        sides,
        compare_metrics(rows, metrics),
    )


def _read(
    item: Item, rows: Sequence[dict[str, Any]], files: GalleryFiles, masks: GalleryMasks
) -> tuple[Item, Candidate]:
    """Read the files of an item, and cut them.

    Raises:
        RoiRayError: an image cannot be shown.
    """
    reference = files.read_reference(item.image)
    distorted = [to_8_bits(files.read_distorted(row, reference)) for row in rows]
    mask, source, problem = None, None, None
    try:
        mask, source = masks.find(rows[0], reference)
    except RoiRayError as error:
        problem = _as_sentence(str(error))
    candidate = cut_candidate(to_8_bits(reference), distorted, mask)
    height, width = candidate.size
    return replace(item, size=(width, height), mask=source, mask_problem=problem), candidate


def _add_pictures(
    item: Item, candidate: Candidate, pictures: Pictures | None, store: dict[str, str]
) -> Item:
    thumbnail = "data:image/webp;base64," + to_base64(candidate.thumbnail)
    if pictures is None:
        problem = (
            "The pictures of the items before it have used up the page's budget; choose fewer "
            "items, or allow a larger page."
        )
        return replace(item, thumbnail=thumbnail, problem=problem)
    names = {role: picture_name(file) for role, file in pictures.files.items()}
    for role, file in pictures.files.items():
        store[names[role]] = to_base64(file)
    sides = tuple(
        replace(side, is_exact=names[side.letter.lower()] == names["reference"])
        for side in item.sides
    )
    return replace(
        item,
        sides=sides,
        thumbnail=thumbnail,
        crop=pictures.crop,
        scale=pictures.scale,
        mask_mean=pictures.mask_mean,
        pictures=tuple(names.items()),
    )


def _advise(
    items: Sequence[Item], store: dict[str, str], refused: Sequence[NotAllowed]
) -> str | None:
    if store or not items:
        return None
    if refused:
        return (
            "No picture can be shown, because the images are in folders that the manifest may not "
            "open. Name these folders with --allow-prefix and make the report again."
        )
    return (
        "No picture can be shown, because no image could be read. Make the report again where the "
        "images are, and name their folders with --allow-prefix."
    )


def _as_sentence(text: str) -> str:
    """Write a text in one line, with a full stop, and a capital unless it starts with a name."""
    words = text.split()
    if words and words[0].isalpha() and words[0] not in schema.MEANINGS:
        words[0] = words[0][0].upper() + words[0][1:]
    line = " ".join(words)
    return line if line.endswith(".") else f"{line}."
