"""The decision between codecs on a terminal: verdict, BD-rates, preferences, times, and doubts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from roi_ray.decision.decide import Decision
from roi_ray.decision.resampling import Estimate
from roi_ray.decision.savings import Saving, Savings
from roi_ray.decision.words import name_band
from roi_ray.report.page.tables import order_codecs
from roi_ray.report.page.text import base_metric, is_roi, shorten
from roi_ray.report.summary.reasons import Reasons
from roi_ray.report.summary.use import build_use
from roi_ray.report.text import GAP, begin_table, plain

_MAX_NAME = 24
_LABEL, _MIN_NUMBER = 6, 10
"""Characters of labels of lines, and of the narrowest column of numbers."""

_EXPLANATION = (
    "BD-rate against {anchor} in percent: bits for the same quality, lower is better. mean: over "
    "the images, * the lowest; 95 %: its interval; curves: BD-rate of the mean curves."
)


def print_decision(decision: Decision, console: Console) -> None:
    """Print a decision: verdict first, then the numbers, then what limits them."""
    reasons = Reasons()
    _print_lines(console, _describe_scores(decision), style="dim")
    console.print()
    for number, sentence in enumerate(decision.verdict):
        _print_lines(console, [sentence], style=None if number else "bold")
    for part in _build_tables(decision, console.width, reasons):
        console.print()
        console.print(part)
    _print_block(console, "", reasons.explain())
    _print_block(console, "scores", decision.notes)
    _print_block(console, "preferences", list(decision.preference.notes))
    _print_block(console, "times", list(decision.times.notes))
    _print_block(console, "quality control", list(_list_findings(decision)))


@dataclass(frozen=True)
class Column:
    """A column of BD-rates: a metric, a band of bit rates, or a group of images.

    Attributes:
        header: two lines.
        savings: BD-rates by codec.
    """

    header: str
    savings: Mapping[str, Saving]

    @property
    def width(self) -> int:
        """Characters that the column may need, with its gap."""
        return max(_MIN_NUMBER, *map(len, self.header.split("\n"))) + GAP

    @property
    def best(self) -> str | None:
        """The codec with the lowest mean below that of the anchor, 0."""
        means = {
            codec: saving.mean.value
            for codec, saving in self.savings.items()
            if saving.mean is not None and saving.mean.value < 0
        }
        return min(means, key=lambda codec: means[codec], default=None)


def make_saving_table(
    columns: Sequence[Column], codecs: Sequence[str], reasons: Reasons, *, curves: bool = True
) -> Table:
    """Make a table of BD-rates: for each codec the mean, its interval, mean curves, and images.

    Args:
        columns: the columns.
        codecs: the codecs, in order.
        reasons: collects why a number is not shown.
        curves: whether to show the BD-rate of mean curves.
    """
    table = begin_table()
    table.add_column("codec", no_wrap=True)
    table.add_column("", no_wrap=True, style="dim")
    for column in columns:
        header = "\n".join(map(plain, column.header.split("\n")))
        table.add_column(Text(header), justify="right", no_wrap=True)
    for codec in codecs:
        savings = [column.savings[codec] for column in columns]
        lines: dict[str, Sequence[Text | str]] = {
            "mean": [_format_mean(c.savings[codec], reasons, c.best == codec) for c in columns]
        }
        intervals = [format_interval(saving.mean) for saving in savings]
        if any(intervals):
            lines["95 %"] = intervals
        # Where nothing at all is valid, the reasons of the means say enough.
        if curves and any(saving.mean or saving.curve for saving in savings):
            lines["curves"] = [_format_curve(saving, reasons) for saving in savings]
        if any(saving.valid < len(saving.per_image) for saving in savings):
            lines["images"] = [f"{saving.valid}/{len(saving.per_image)}" for saving in savings]
        for number, (label, cells) in enumerate(lines.items()):
            name = "" if number else plain(shorten(codec, _MAX_NAME))
            table.add_row(Text(name), label, *cells)
    return table


def split_by_width(groups: Sequence[Sequence[Column]], room: int) -> Iterator[list[Column]]:
    """Split columns into tables that fit; the columns of a group stay together.

    Args:
        groups: the columns.
        room: characters per line, without names and labels.
    """
    table: list[Column] = []
    for group in groups:
        if table and sum(column.width for column in (*table, *group)) > room:
            yield table
            table = []
        table += group
    if table:
        yield table


def format_value(value: float) -> str:
    """Format a BD-rate in percent: one decimal, none above 100."""
    return f"{value:+.1f}" if abs(value) < 99.95 else f"{value:+.0f}"


def format_interval(estimate: Estimate | None) -> str:
    """Format an interval of BD-rates as short as its width allows; empty if there is none."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    digits = 1 if max(abs(estimate.low), abs(estimate.high)) < 9.95 else 0
    return f"{estimate.low:+.{digits}f}..{estimate.high:+.{digits}f}"


def _describe_scores(decision: Decision) -> list[str]:
    scores = decision.scores
    return [
        f"{scores.uri}: {scores.row_count:,} rows, {len(scores.images):,} images, "
        f"{len(scores.codecs)} codecs; BD-rates are against {shorten(decision.anchor)}"
    ]


def _build_tables(decision: Decision, width: int, reasons: Reasons) -> Iterator[RenderableType]:
    codecs = [codec for codec in order_codecs(decision) if codec != decision.anchor]
    longest = max((len(shorten(codec, _MAX_NAME)) for codec in codecs), default=0)
    room = width - longest - _LABEL - 2 * GAP
    if codecs:
        yield Text(plain(_EXPLANATION.format(anchor=shorten(decision.anchor))))
        for columns in split_by_width(_list_metrics(decision), room):
            yield make_saving_table(columns, codecs, reasons)
    yield from build_use(decision)
    if codecs:
        for title, parts in _list_parts(decision):
            yield Text(plain(title), style="bold")
            for columns in split_by_width([[part] for part in parts], room):
                yield make_saving_table(columns, codecs, reasons, curves=False)


def _list_metrics(decision: Decision) -> list[list[Column]]:
    """List the metrics, the deciding one first; full frame and region side by side."""
    columns: dict[str, list[Column]] = {}
    for metric in sorted(decision.metrics, key=is_roi):
        savings = {c: saving for (c, name), saving in decision.savings.items() if name == metric}
        part = "ROI" if is_roi(metric) else "full frame"
        columns.setdefault(base_metric(metric), []).append(
            Column(f"{base_metric(metric)}\n{part}", savings)
        )
    order = [base_metric(metric) for metric in decision.metrics]
    return [columns[name] for name in dict.fromkeys(order)]


def _list_parts(decision: Decision) -> Iterator[tuple[str, list[Column]]]:
    """List bands of bit rates and groups of images, by the deciding metric."""
    metric = decision.metrics[0]

    def select(savings: Savings) -> dict[str, Saving]:
        return {codec: saving for (codec, name), saving in savings.items() if name == metric}

    if decision.bands:
        bands = [
            Column(f"{name_band(band)}\nbpp", select(savings))
            for band, savings in decision.bands.items()
        ]
        yield f"By bit rate of {shorten(decision.anchor)}, {metric}:", bands
    for name in dict.fromkeys(column for column, _ in decision.groups):
        groups = [
            Column(f"{shorten(value, _MAX_NAME)}\n{name}", select(savings))
            for (column, value), savings in decision.groups.items()
            if column == name
        ]
        yield f"By {name}, {metric}:", groups


def _format_mean(saving: Saving, reasons: Reasons, best: bool) -> Text:
    if saving.mean is None:
        return Text(reasons.name_mean(saving), style="dim")
    text = format_value(saving.mean.value)
    return Text(f"*{text}" if best else text, style="bold" if best else "")


def _format_curve(saving: Saving, reasons: Reasons) -> Text:
    if saving.curve is None:
        return Text(reasons.name_curve(saving), style="dim")
    return Text(format_value(saving.curve.value))


def _list_findings(decision: Decision) -> Iterator[str]:
    """List what quality control found, one line each, with examples."""
    for finding in decision.quality_control.findings:
        examples = f" Such as: {'; '.join(finding.examples)}" if finding.examples else ""
        severity = "" if finding.severity == "info" else f"{finding.severity}: "
        yield f"{severity}{finding.text}{examples}"


def _print_block(console: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    console.print()
    if title:
        console.print(Text(title, style="bold"))
    _print_lines(console, lines)


def _print_lines(console: Console, lines: Sequence[str], style: str | None = None) -> None:
    for line in lines:
        console.print(Text(plain(line), style=style or ""))
