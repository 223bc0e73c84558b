"""The tables of the page's summary: BD-rates by codec and metric, as text with footnotes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from roi_ray.decision.decide import Decision
from roi_ray.decision.savings import Estimate, Saving
from roi_ray.report.page_text import (
    base_metric,
    count,
    describe_metric,
    format_interval,
    format_percent,
    is_roi,
    label_metric,
)

NOT_VALID = "not valid"


class Footnotes:
    """Reasons why numbers are missing, numbered from 1 in the order in which they are met."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def number(self, reason: str) -> int:
        """Return the number of a reason; the same for the same reason."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return self.reasons.index(reason) + 1


@dataclass(frozen=True)
class Cell:
    """One number of a table, or the reason why there is none.

    Attributes:
        text: the number as text, or a short word in its place.
        interval: its 95 % interval, without a unit; None if there is none.
        note: number of the footnote that says why there is no number; None if there is one.
        side: `better` or `worse` if the whole interval is below or above zero; else empty.
        best: whether it is the lowest of its column.
    """

    text: str
    interval: str | None = None
    note: int | None = None
    side: str = ""
    best: bool = False


@dataclass(frozen=True)
class Column:
    """A metric of the overview.

    Attributes:
        metric: column of the scores.
        label: its name.
        description: what it measures.
    """

    metric: str
    label: str
    description: str


@dataclass(frozen=True)
class Overview:
    """Mean BD-rates of all codecs by all metrics.

    Attributes:
        full: metrics over the whole image.
        roi: metrics under the mask.
        rows: codec, and its cells by metric; the anchor has none.
    """

    full: list[Column]
    roi: list[Column]
    rows: list[tuple[str, dict[str, Cell]]]


@dataclass(frozen=True)
class DetailRow:
    """All BD-rates of one codec by one metric.

    Attributes:
        codec: the codec.
        images: how many images have a valid BD-rate.
        mean: mean over these.
        median: median over these.
        curve: BD-rate of the mean curves.
        invalid: images without a valid BD-rate by reason, such as `2 images: a bit rate of zero`.
    """

    codec: str
    images: str
    mean: Cell
    median: Cell
    curve: Cell
    invalid: list[str] = field(default_factory=list)


def order_codecs(decision: Decision) -> list[str]:
    """List the codecs by the deciding metric, the best first; those without a number last."""

    def key(codec: str) -> tuple[bool, float, str]:
        if codec == decision.anchor:
            return False, 0.0, codec
        saving = decision.savings.get((codec, decision.metrics[0]))
        mean = saving.mean if saving else None
        return mean is None, mean.value if mean else 0.0, codec

    return sorted({decision.anchor, *(codec for codec, _ in decision.savings)}, key=key)


def build_overview(decision: Decision, notes: Footnotes) -> Overview:
    """Build the table of mean BD-rates by codec and metric."""
    columns = [
        Column(metric, label_metric(metric, region=False), describe_metric(metric))
        for metric in decision.metrics
    ]
    best = {metric: _find_best(decision, metric) for metric in decision.metrics}
    rows = []
    for codec in order_codecs(decision):
        cells = {}
        for metric in decision.metrics:
            saving = decision.savings.get((codec, metric))
            if saving is not None:
                cells[metric] = _cell(saving.mean, saving.reason, notes, codec == best[metric])
        rows.append((codec, cells))
    full = [column for column in columns if not is_roi(column.metric)]
    roi = [column for column in columns if is_roi(column.metric)]
    bases = [column.metric for column in full]
    roi.sort(key=lambda c: _place(base_metric(c.metric), bases))
    return Overview(full, roi, rows)


def build_details(decision: Decision, notes: Footnotes) -> dict[str, list[DetailRow]]:
    """Build the tables of mean, median and mean-curve BD-rates, one per metric."""
    return {
        metric: [
            _detail(saving, notes)
            for codec in order_codecs(decision)
            if (saving := decision.savings.get((codec, metric))) is not None
        ]
        for metric in decision.metrics
    }


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)


def _find_best(decision: Decision, metric: str) -> str | None:
    """Return the codec with the lowest mean BD-rate below the anchor's, which is 0."""
    means = {
        codec: saving.mean.value
        for (codec, name), saving in decision.savings.items()
        if name == metric and saving.mean is not None
    }
    codec = min(means, key=lambda name: means[name], default=None)
    return codec if codec is not None and means[codec] < 0 else None


def _detail(saving: Saving, notes: Footnotes) -> DetailRow:
    return DetailRow(
        saving.codec,
        f"{saving.valid:,} of {len(saving.per_image):,}",
        _cell(saving.mean, saving.reason, notes),
        _cell(saving.median, saving.reason, notes),
        _cell(saving.curve, saving.curve_flag, notes),
        [f"{count(number, 'image')}: {flag}" for flag, number in saving.flags.items() if number],
    )


def _cell(
    estimate: Estimate | None, reason: str | None, notes: Footnotes, best: bool = False
) -> Cell:
    if estimate is None:
        return Cell(NOT_VALID, note=notes.number(reason or "no reason was recorded"))
    side = ""
    if estimate.low is not None and estimate.high is not None:
        side = "better" if estimate.high < 0 else "worse" if estimate.low > 0 else ""
    return Cell(format_percent(estimate.value), format_interval(estimate), None, side, best)
