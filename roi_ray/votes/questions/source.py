"""Read the questions of a study from comparisons or from scores."""

import re
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roi_ray import schema
from roi_ray.errors import ManifestError, UsageError
from roi_ray.io import storage
from roi_ray.io.allowlist import Allowlist, build_allowlist
from roi_ray.io.uris import bucket_path
from roi_ray.runtime.logs import LOGGER
from roi_ray.runtime.words import count_noun
from roi_ray.votes.options import VoteOptions
from roi_ray.votes.questions.collected import Collected
from roi_ray.votes.questions.from_comparisons import collect_comparisons
from roi_ray.votes.questions.from_scores import collect_scores
from roi_ray.votes.questions.linked import find_groups
from roi_ray.votes.questions.table import Questions

_LARGE = 8_000_000
"""Pixels of images that take long to load; more than most screens show."""


def read_questions(
    comparisons: str | None,
    scores: str | None,
    options: VoteOptions,
    allow_prefixes: Iterable[str] = (),
) -> Questions:
    """Read the questions of a study, and log how many there are and what is left out.

    Args:
        comparisons: path or URI of comparisons, answered or not: each distinct pair is a question.
        scores: path or URI of an output of `roi-ray score` instead: pairs of images of one
            original are questions.
        options: number of questions made of scores, seed, and what is ranked.
        allow_prefixes: folders whose images may be opened, besides that of the comparisons, or of
            the manifest of the scores.

    Returns:
        the questions; all may be asked.

    Raises:
        UsageError: not one of `comparisons` and `scores` is given, or `max_questions` is too small
            to link all methods.
        ManifestError: the comparisons or scores cannot be used, have no question that is not
            gold, or lack what `active` ranks; or no image may be opened.
        StorageError: the URI of an image contains credentials.
    """
    if (comparisons is None) == (scores is None):
        raise UsageError("give either comparisons or scores to make questions of")
    if comparisons is not None:
        collected = collect_comparisons(comparisons)
    else:
        collected = collect_scores(str(scores), options)
    _check(collected, options)
    allowlist = build_allowlist(collected.base, allow_prefixes)
    _check_allowed(collected, allowlist)
    LOGGER.info("%s", describe(collected))
    _warn_of_groups(collected, options)
    _warn_of_names(collected, options)
    _warn_of_checks(collected, options)
    _warn_of_size(collected, options)
    return Questions(collected.table, np.ones(len(collected.table), np.bool_), allowlist)


def describe(collected: Collected) -> str:
    """Describe questions in one line: how many, about what, and what is left out and why."""
    table = collected.table
    gold = _count_gold(table)
    parts = [count_noun(len(table) - gold, "question")]
    if methods := _distinct(table, "method"):
        parts.append(count_noun(len(methods), "method"))
    parts.append(count_noun(pc.count_distinct(table[schema.REFERENCE]).as_py(), "original"))
    text = f"{', '.join(parts)}, and {count_noun(gold, 'gold question')}, from {collected.name}"
    reasons = [f"{reason} ({count})" for reason, count in collected.left_out.items() if count]
    return f"{text}; left out: {'; '.join(reasons)}" if reasons else text


def _distinct(table: pa.Table, name: str) -> set[str]:
    """List the methods or codecs of a table; none if it does not say."""
    columns = [f"{name}_{side}" for side in schema.SIDES]
    present = [table[column] for column in columns if column in table.column_names]
    return {value for column in present for value in pc.unique(column).to_pylist() if value}


def _check(collected: Collected, options: VoteOptions) -> None:
    if len(collected.table.filter(pc.invert(collected.table[schema.GOLD]))) == 0:
        raise ManifestError(
            f"{collected.name} has nothing to ask: an original needs two images, and their answer "
            f"must not be certain; {describe(collected)}"
        )
    if options.active == "ranking" and not _distinct(collected.table, options.by):
        raise ManifestError(
            f"{collected.name} has no column '{options.by}_a' or '{options.by}_b', which choosing "
            "questions for a ranking needs"
        )


def _warn_of_groups(collected: Collected, options: VoteOptions) -> None:
    if options.active == "model":
        return
    groups = find_groups(collected.table, options.by)
    if len(groups) > 1:
        LOGGER.warning(
            "no chain of questions links all %ss: there are %d groups that cannot be ranked in one "
            "order, such as those of %s and %s",
            options.by,
            len(groups),
            groups[0][0],
            groups[1][0],
        )


def _warn_of_names(collected: Collected, options: VoteOptions) -> None:
    names = [f"{options.by}_{side}" for side in schema.SIDES]
    if not set(names) <= set(collected.table.column_names):
        return
    asked = collected.table.filter(pc.invert(collected.table[schema.GOLD])).select(names)
    if missing := len(asked) - len(asked.drop_null()):
        LOGGER.warning(
            "%d of %s cannot be ranked: %s or %s is empty",
            missing,
            count_noun(len(asked), "question"),
            *names,
        )


def _warn_of_checks(collected: Collected, options: VoteOptions) -> None:
    if (options.gold or options.training) and not _count_gold(collected.table):
        LOGGER.warning(
            "no question has a known answer, so raters cannot be checked by one, nor learn from "
            "one: give comparisons some rows with gold, and p_a 0 or 1"
        )


def _warn_of_size(collected: Collected, options: VoteOptions) -> None:
    if options.crop is None and collected.largest > _LARGE:
        LOGGER.warning(
            "images of up to %.0f megapixels take long to load; --crop shows a part of them",
            collected.largest / 1e6,
        )


def _count_gold(table: pa.Table) -> int:
    return int(pc.sum(table[schema.GOLD]).as_py() or 0)


def _check_allowed(collected: Collected, allowlist: Allowlist) -> None:
    """Warn of images that may not be opened; raise ManifestError if no question can be asked.

    What is opened is checked again then. Here, the folders of the images are.
    """
    table = collected.table
    forbidden = np.zeros(len(table), np.bool_)
    examples: list[str] = []
    for name in schema.COMPARISON_URIS:
        folders = [storage.parent(uri) for uri in table[name].to_pylist()]
        refused = {folder for folder in set(folders) if not allowlist.allows(folder)}
        for folder in filter(storage.is_remote, refused):
            bucket_path(folder)  # raises for credentials, which must not be shown
        forbidden |= np.array([folder in refused for folder in folders], np.bool_)
        examples += sorted(refused)[:1]
    if not forbidden.any():
        return
    text = (
        f"{forbidden.sum()} of {len(table)} questions have images that may not be opened, such as "
        f"those in {_hide_user(examples[0])}: to allow them, name their folder with --allow-prefix"
    )
    if forbidden.all():
        raise ManifestError(text)
    LOGGER.warning("%s", text)


def _hide_user(uri: str) -> str:
    """Leave a user and a password out of a URI of any scheme."""
    return re.sub("://[^/]*@", "://", uri)
