"""Match the images of two outputs, and check that they are the same images."""

import math
import posixpath
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from roi_ray import schema
from roi_ray.decision.score_table import SweepScores
from roi_ray.errors import UsageError
from roi_ray.io import uris
from roi_ray.preference.statistics.intervals import MIN_REFERENCES
from roi_ray.runtime.words import count_noun

_EXAMPLES = 3
_MASK_TOLERANCE = 0.02
"""Relative difference of two means of one mask that networks on other processors may cause."""


@dataclass(frozen=True)
class ImagePairs:
    """The images that two outputs have in common.

    Attributes:
        baseline: number of each image in the baseline's `SweepScores.images`.
        candidate: number of the same image in the candidate's.
        matched_by: how many images were matched by which part of the reference.
        only_baseline: references that only the baseline has.
        only_candidate: references that only the candidate has.
    """

    baseline: tuple[int, ...]
    candidate: tuple[int, ...]
    matched_by: dict[str, int]
    only_baseline: tuple[str, ...]
    only_candidate: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.baseline)

    def describe(self) -> str:
        """Say how many images were compared, and how they were matched."""
        ways = ", ".join(f"{count} by {way}" for way, count in self.matched_by.items())
        text = f"{count_noun(len(self), 'image')} that both have, matched: {ways}"
        for count, side in (
            (len(self.only_baseline), "baseline"),
            (len(self.only_candidate), "candidate"),
        ):
            text += f"; {count} only in the {side}" if count else ""
        return text


def match_images(baseline: SweepScores, candidate: SweepScores) -> ImagePairs:
    """Match images by URI, else by the reference as written, else by file name.

    File names count only if one image on each side has the name.

    Raises:
        UsageError: too few images match for an interval, or images of one name differ.
    """
    pairs: dict[int, int] = {}
    matched_by: dict[str, int] = {}
    ways: tuple[tuple[str, Callable[[SweepScores], list[str]]], ...] = (
        ("URI", _resolve_references),
        ("the reference as written", lambda scores: list(scores.images)),
        ("file name", _name_files),
    )
    for way, list_keys in ways:
        new = _match_keys(list_keys(baseline), list_keys(candidate), pairs)
        if new:
            matched_by[way] = len(new)
            pairs |= new
    taken = set(pairs.values())
    order = sorted(pairs)
    found = ImagePairs(
        tuple(order),
        tuple(pairs[number] for number in order),
        matched_by,
        tuple(image for number, image in enumerate(baseline.images) if number not in pairs),
        tuple(image for number, image in enumerate(candidate.images) if number not in taken),
    )
    if len(found) < MIN_REFERENCES:
        raise UsageError(_describe_too_few(found, baseline, candidate))
    _check_same_images(found, baseline, candidate)
    return found


def list_examples(names: tuple[str, ...]) -> str:
    """List the first few names."""
    more = len(names) - _EXAMPLES
    return ", ".join(names[:_EXAMPLES]) + (f" and {more} more" if more > 0 else "")


def _resolve_references(scores: SweepScores) -> list[str]:
    return [uris.normalize(uris.resolve(image, scores.base or "")) for image in scores.images]


def _name_files(scores: SweepScores) -> list[str]:
    return [posixpath.basename(image) for image in scores.images]


def _match_keys(baseline: list[str], candidate: list[str], pairs: dict[int, int]) -> dict[int, int]:
    """Match the images that are not in `pairs` by keys that are unique on both sides."""
    counts = Counter(candidate), Counter(baseline)
    number_of = {key: number for number, key in enumerate(candidate)}
    taken = set(pairs.values())
    return {
        number: number_of[key]
        for number, key in enumerate(baseline)
        if number not in pairs
        and all(count[key] == 1 for count in counts)
        and number_of[key] not in taken
    }


def _describe_too_few(pairs: ImagePairs, baseline: SweepScores, candidate: SweepScores) -> str:
    count = count_noun(len(pairs), "image")
    text = (
        f"only {count} of {baseline.uri} and {candidate.uri} match, by URI or unique file names; "
        f"a decision needs {MIN_REFERENCES} or more"
    )
    if pairs.only_baseline and pairs.only_candidate:
        return text + (
            f". Only in the baseline: {list_examples(pairs.only_baseline)}. Only in the candidate: "
            f"{list_examples(pairs.only_candidate)}. Sweep the same images"
        )
    return text + f": sweep more images ({len(baseline.images)} and {len(candidate.images)} now)"


def _check_same_images(pairs: ImagePairs, baseline: SweepScores, candidate: SweepScores) -> None:
    """Check that matched images have the same size and the same mask, as far as scores tell."""
    facts, others = _collect_facts(baseline), _collect_facts(candidate)
    for number, other in zip(pairs.baseline, pairs.candidate, strict=True):
        image, same = baseline.images[number], candidate.images[other]
        mine, theirs = facts.get(image), others.get(same)
        if mine is None or theirs is None:
            continue
        for what, value, new in zip(("width", "height"), mine[:2], theirs[:2], strict=True):
            if None not in (value, new) and value != new:
                raise UsageError(
                    f"{image} of the baseline and {same} of the candidate are different images: "
                    f"{what} {value} and {new}. Sweep the same images"
                )
        fraction, new_fraction = mine[2], theirs[2]
        if fraction is None or new_fraction is None:
            continue
        if not math.isclose(fraction, new_fraction, rel_tol=_MASK_TOLERANCE, abs_tol=1e-4):
            raise UsageError(
                f"{image} of the baseline and {same} of the candidate are different images, or "
                f"have different masks: the mean of the mask is {fraction:.4g} and "
                f"{new_fraction:.4g}. Sweep the same images with the same masks"
            )


_Facts = tuple[int | None, int | None, float | None]


def _collect_facts(scores: SweepScores) -> dict[str, _Facts]:
    """Collect width, height and mean of the mask of each image, from its first scored row."""
    names = ("width", "height", schema.ROI_FRACTION)
    known = [name for name in names if name in scores.column_names]
    frame = pl.DataFrame({name: scores.column(name) for name in (schema.REFERENCE, *known)})
    firsts = frame.group_by(schema.REFERENCE).agg(pl.col(known).drop_nulls().first())
    rows = firsts.to_dicts()
    return {
        row[schema.REFERENCE]: (row.get("width"), row.get("height"), row.get(schema.ROI_FRACTION))
        for row in rows
    }
