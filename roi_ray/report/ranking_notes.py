"""Sentences that say what a ranking cannot say, for the terminal and for JSON."""

import math
from itertools import groupby

from roi_ray.preference.ranking.options import By
from roi_ray.preference.ranking.rank import Rank
from roi_ray.preference.statistics.intervals import describe_missing_interval

_MAX_NAMES = 4


def split_by_group(ranks: list[Rank]) -> list[list[Rank]]:
    """Split a ranking into the groups of names whose scores can be compared."""
    return [list(group) for _, group in groupby(ranks, lambda r: r.group)]


def describe_limits(ranks: list[Rank], by: By) -> list[str]:
    """Describe groups that nothing links, one-sided answers, and missing intervals."""
    groups = split_by_group(ranks)
    notes = []
    if len(groups) > 1:
        notes.append(
            f"No comparison links the {len(groups)} groups: nothing says which of two {by}s of "
            f"different groups is better. Compare {by}s of one group with some of another to "
            "rank them together."
        )
    for number, group in enumerate(groups, 1):
        if max(r.block for r in group) > 1:
            where = f"In group {number}, every" if len(groups) > 1 else "Every"
            notes.append(
                f"{where} answer between two of these parts prefers the earlier part: "
                f"{_list_blocks(group)}. It is better, but the answers do not say by how much: the "
                "distance between parts and the outer ends of the intervals come from the prior."
            )
    if any(math.isnan(r.low) for r in ranks):
        notes.append(describe_missing_interval())
    return notes


def _list_blocks(group: list[Rank]) -> str:
    by_block = sorted(group, key=lambda r: r.block)
    names = [[r.name for r in block] for _, block in groupby(by_block, lambda r: r.block)]
    return " | ".join(_list_names(block) for block in names)


def _list_names(names: list[str]) -> str:
    more = len(names) - _MAX_NAMES + 1
    if more <= 1:
        return ", ".join(names)
    return f"{', '.join(names[: _MAX_NAMES - 1])} and {more} more"
