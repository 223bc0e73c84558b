"""The page's tables of predicted preferences: win rates at equal bit rate, and their scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roi_ray.decision.preferences.predict import Preference
from roi_ray.preference.ranking.rank import Rank
from roi_ray.report.page.text import MINUS, round_number
from roi_ray.report.ranking_notes import describe_limits

_MAX_INTERVALS = 10  # codecs, above which the cells of win rates have no room for intervals
_MAX_TINT = 55  # percent of the colour in a cell of 0 or 100 people


@dataclass(frozen=True)
class WinCell:
    """How many of 100 people prefer the row's codec to the column's.

    Attributes:
        text: the number.
        interval: its 95 % interval; None if there is none.
        wins: whether more than half prefer the row's codec.
        tint: percent of colour in the cell's background, 0 for 50 people.
    """

    text: str
    interval: str | None
    wins: bool
    tint: int


@dataclass(frozen=True)
class RankRow:
    """A codec's place by predicted preference.

    Attributes:
        place: its place within its group, from 1.
        codec: the codec.
        score: Bradley-Terry score in logits.
        interval: its 95 % interval; None if there is none.
        wins: how many of 100 people prefer it to the others on average.
        group: number of the group of codecs that share bit rates.
    """

    place: int
    codec: str
    score: str
    interval: str | None
    wins: str
    group: int


@dataclass(frozen=True)
class PreferencePart:
    """What the page shows of predicted preferences.

    Attributes:
        codecs: codecs of the win rates, the best first.
        rows: codec, and its cells in the order of `codecs`; None where two were not compared, and
            on the diagonal.
        ranks: the ranking.
        groups: number of groups of codecs that nothing links.
        notes: what the predictions are and what they cannot say.
    """

    codecs: list[str]
    rows: list[tuple[str, list[WinCell | None]]]
    ranks: list[RankRow]
    groups: int
    notes: list[str]


def build_preference(preference: Preference) -> PreferencePart:
    """Build the tables of predicted preferences. There must be predictions."""
    ranks = list(preference.ranks)
    codecs = [rank.name for rank in ranks]
    rows = [(a, [_win_cell(preference, a, b, len(codecs)) for b in codecs]) for a in codecs]
    return PreferencePart(
        codecs,
        rows,
        _rank_rows(ranks),
        max((rank.group for rank in ranks), default=1),
        [*preference.notes, *describe_limits(ranks, "codec")],
    )


def build_preference_data(preference: Preference, codecs: Sequence[str]) -> list[Any]:
    """Collect the numbers of the chart of scores: codec, score, interval, group."""
    return [
        {
            "codec": codecs.index(rank.name),
            "score": [round_number(n) for n in (rank.score, rank.low, rank.high)],
            "group": rank.group,
        }
        for rank in preference.ranks
        if rank.name in codecs
    ]


def _win_cell(preference: Preference, a: str, b: str, codecs: int) -> WinCell | None:
    share = preference.shares.get((a, b))
    if share is None:
        return None
    interval = None
    if share.low is not None and share.high is not None and codecs <= _MAX_INTERVALS:
        interval = f"{100 * share.low:.0f} to {100 * share.high:.0f}"
    tint = round(2 * _MAX_TINT * abs(share.value - 0.5))
    return WinCell(f"{100 * share.value:.0f}", interval, share.value > 0.5, tint)


def _rank_rows(ranks: Sequence[Rank]) -> list[RankRow]:
    rows, places = [], dict[int, int]()
    for rank in ranks:
        places[rank.group] = places.get(rank.group, 0) + 1
        interval = None
        if not math.isnan(rank.low):
            interval = f"{_signed(rank.low)} to {_signed(rank.high)}"
        rows.append(
            RankRow(
                places[rank.group],
                rank.name,
                _signed(rank.score),
                interval,
                f"{100 * rank.win_rate:.0f}",
                rank.group,
            )
        )
    return rows


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", MINUS)
