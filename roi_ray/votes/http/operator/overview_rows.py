"""The rows of the operator's tables, as text and drawings."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from roi_ray.preference.ranking.rank import Rank
from roi_ray.votes.store.agreement import RaterSummary

WIDTH = 224
"""Width of the drawing of an interval."""

_MARGIN = 6
_NAME_LENGTH = 8


@dataclass(frozen=True)
class Drawing:
    """An interval of a score, and the score 0, from left to right within `WIDTH`."""

    low: float
    score: float
    high: float
    zero: float


@dataclass(frozen=True)
class RankRow:
    """A row of the ranking."""

    name: str
    group: int
    score: str
    interval: str
    drawing: Drawing | None
    win_rate: str
    answers: int


def list_rank_rows(ranks: Sequence[Rank]) -> list[RankRow]:
    """Write the rows of a ranking.

    Examples:
        >>> (row,) = list_rank_rows([Rank("avif", 0.5, -0.25, 1.25, 40, 0.6, None, 9)])
        >>> row.score, row.interval, row.win_rate
        ('+0.50', '-0.25 to +1.25', '60 %')
    """
    ends = [x for rank in ranks for x in (rank.low, rank.score, rank.high) if math.isfinite(x)]
    least, most = min([0.0, *ends]), max([0.0, *ends])

    def place(x: float) -> float:
        share = (x - least) / ((most - least) or 1.0)
        return round(_MARGIN + share * (WIDTH - 2 * _MARGIN), 1)

    rows = []
    for rank in ranks:
        is_known = math.isfinite(rank.low) and math.isfinite(rank.high)
        rows.append(
            RankRow(
                rank.name,
                rank.group,
                f"{rank.score:+.2f}",
                f"{rank.low:+.2f} to {rank.high:+.2f}" if is_known else "not known yet",
                Drawing(*map(place, (rank.low, rank.score, rank.high, 0.0))) if is_known else None,
                f"{rank.win_rate:.0%}".replace("%", " %"),
                rank.answers,
            )
        )
    return rows


def write_rater(rater: RaterSummary) -> list[str]:
    """Write the row of a rater, whose random name is cut."""
    cells = [write_cell(value) for value in asdict(rater).values()]
    return [cells[0][:_NAME_LENGTH], *cells[1:]]


def write_cell(value: object) -> str:
    """Write a cell: a number with two digits behind the point, - for nothing.

    Examples:
        >>> [write_cell(value) for value in ("ab12", 3, 0.6666, None, float("nan"))]
        ['ab12', '3', '0.67', '-', '-']
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
