"""What a codec is like to use, on a terminal: predicted preference, and time per megapixel."""

import math
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from roi_ray.decision.decide import Decision
from roi_ray.decision.resampling import Estimate
from roi_ray.decision.times import DIRECTIONS, CodecTimes
from roi_ray.preference.ranking.rank import Rank
from roi_ray.report.page.tables import order_codecs
from roi_ray.report.page.text import shorten
from roi_ray.report.text import begin_table, plain

_MAX_NAME, _MAX_ANCHOR = 24, 14
_NONE = "-"


def build_use(decision: Decision) -> Iterator[Text | Table]:
    """Build the tables of preferences and of times, or say why one of them is not there."""
    codecs = order_codecs(decision)
    if decision.preference.missing:
        yield Text(plain(f"No predicted preferences: {decision.preference.missing}"))
    else:
        yield _make_preference_table(decision, codecs)
    if decision.times.reason:
        yield Text(plain(f"No times: {decision.times.reason}."))
    else:
        yield _make_time_table(decision, codecs)


def _make_preference_table(decision: Decision, codecs: Sequence[str]) -> Table:
    """Make the table of predicted shares of people and Bradley-Terry scores."""
    preference = decision.preference
    anchor = plain(shorten(decision.anchor, _MAX_ANCHOR))
    ranks = {rank.name: rank for rank in preference.ranks}
    table = begin_table()
    table.add_column("codec", no_wrap=True)
    for header in (f"preferred to\n{anchor}", "preferred\nto all", "Bradley-Terry\nlogit"):
        table.add_column(Text(header), justify="right", no_wrap=True)
    for codec in codecs:
        share = preference.shares.get((codec, decision.anchor))
        name = Text(plain(shorten(codec, _MAX_NAME)))
        table.add_row(name, _format_share(share), *_format_rank(ranks.get(codec)))
    return table


def _make_time_table(decision: Decision, codecs: Sequence[str]) -> Table:
    """Make the table of times per megapixel."""
    table = begin_table()
    table.add_column("codec", no_wrap=True)
    for name in ("encode\nms/megapixel", "decode\nms/megapixel"):
        table.add_column(name, justify="right", no_wrap=True)
    for codec in codecs:
        times = (decision.times.of(direction).get(codec) for direction in DIRECTIONS)
        table.add_row(Text(plain(shorten(codec, _MAX_NAME))), *map(_format_time, times))
    return table


def _format_share(share: Estimate | None) -> str:
    if share is None:
        return _NONE
    text = f"{100 * share.value:.0f} %"
    if share.low is None or share.high is None:
        return text
    return f"{text} ({100 * share.low:.0f}..{100 * share.high:.0f})"


def _format_rank(rank: Rank | None) -> tuple[str, str]:
    if rank is None:
        return _NONE, _NONE
    score = f"{rank.score:+.2f}"
    if not math.isnan(rank.low):
        score += f" ({rank.low:+.2f}..{rank.high:+.2f})"
    return f"{100 * rank.win_rate:.0f} %", score


def _format_time(times: CodecTimes | None) -> str:
    if times is None:
        return _NONE
    milliseconds = 1000 * times.seconds.value
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"
