"""What a codec is like to use, on a terminal: predicted preference, and time per megapixel."""

import math
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from roi_ray.decision.decide import Decision
from roi_ray.decision.savings import Estimate
from roi_ray.decision.times import CodecTimes
from roi_ray.preference.ranking import Rank
from roi_ray.report.page_tables import order_codecs
from roi_ray.report.page_text import shorten
from roi_ray.report.text import begin_table, plain

_MAX_NAME = 24
_NONE = "-"


def build_use(decision: Decision) -> Iterator[Text | Table]:
    """Build the table of preferences and times, and say why one of them is not there."""
    preference, times = decision.preference, decision.times
    if preference.missing:
        yield Text(plain(f"No predicted preferences: {preference.missing}"))
    if times.reason:
        yield Text(plain(f"No times: {times.reason}."))
    table = begin_table()
    table.add_column("codec", no_wrap=True)
    anchor = shorten(decision.anchor, _MAX_NAME)
    ranks = {rank.name: rank for rank in preference.ranks}
    if not preference.missing:
        for name in (f"preferred to\n{plain(anchor)}", "preferred\nto all", "Bradley-Terry\nlogit"):
            table.add_column(Text(name), justify="right", no_wrap=True)
    if not times.reason:
        for name in ("encode\nms/megapixel", "decode\nms/megapixel"):
            table.add_column(name, justify="right", no_wrap=True)
    if len(table.columns) == 1:
        return
    for codec in order_codecs(decision):
        cells = []
        if not preference.missing:
            share = preference.shares.get((codec, decision.anchor))
            cells = [_format_share(share), *_format_rank(ranks.get(codec))]
        if not times.reason:
            cells += [_format_time(times.encode.get(codec)), _format_time(times.decode.get(codec))]
        table.add_row(Text(plain(shorten(codec, _MAX_NAME))), *cells)
    yield table


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
