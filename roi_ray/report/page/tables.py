"""The tables of the page's summary: BD-rates by codec and metric, as text with footnotes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from roi_ray.decision.decide import Decision
from roi_ray.decision.resampling import Estimate
from roi_ray.decision.savings import Saving
from roi_ray.report.page.text import (
    base_metric,
    describe_metric,
    format_interval,
    format_percent,
    is_roi,
    label_metric,
)
from roi_ray.runtime.words import count_noun

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
        reason: the same with the numbers of images.
        side: `better` or `worse` if the whole interval is below or above zero; else empty.
        best: whether it is the lowest of its column.
    """

    text: str
    interval: str | None = None
    note: int | None = None
    reason: str = ""
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

    return sorted(decision.codecs, key=key)


def build_overview(decision: Decision, notes: Footnotes) -> Overview:
    """Build the table of mean BD-rates by codec and metric."""
    full, roi = split_metrics(decision.metrics)
    best = {metric: winner.best for metric, winner in decision.winners.items()}
    rows = []
    for codec in order_codecs(decision):
        cells = {}
        for metric in (*full, *roi):
            saving = decision.savings.get((codec, metric))
            if saving is not None:
                cells[metric] = _mean_cell(saving, saving.mean, notes, codec == best[metric])
        rows.append((codec, cells))
    return Overview([_column(metric) for metric in full], [_column(metric) for metric in roi], rows)


def split_metrics(metrics: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split metrics into those over the whole image and those under the mask, in one order."""
    full = [metric for metric in metrics if not is_roi(metric)]
    roi = [metric for metric in metrics if is_roi(metric)]
    return full, sorted(roi, key=lambda metric: _place(base_metric(metric), full))


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


def _column(metric: str) -> Column:
    return Column(metric, label_metric(metric, region=False), describe_metric(metric))


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)


def _detail(saving: Saving, notes: Footnotes) -> DetailRow:
    return DetailRow(
        saving.codec,
        f"{saving.valid:,} of {len(saving.per_image):,}",
        _mean_cell(saving, saving.mean, notes),
        _mean_cell(saving, saving.median, notes),
        _cell(saving.curve, saving.curve_flag or "", saving.curve_flag or "", notes),
        [
            f"{count_noun(number, 'image')}: {flag}"
            for flag, number in saving.flags.items()
            if number
        ],
    )


def _mean_cell(
    saving: Saving, estimate: Estimate | None, notes: Footnotes, best: bool = False
) -> Cell:
    """Make the cell of a mean or median. Its footnote has the reasons without their counts."""
    causes = "; ".join(saving.causes)
    note = f"too few images have a valid BD-rate: {causes}" if causes else saving.reason or ""
    return _cell(estimate, note, saving.reason or "", notes, best)


def _cell(
    estimate: Estimate | None, note: str, reason: str, notes: Footnotes, best: bool = False
) -> Cell:
    if estimate is None:
        return Cell(NOT_VALID, note=notes.number(note), reason=reason)
    side = ""
    if estimate.low is not None and estimate.high is not None:
        side = "better" if estimate.high < 0 else "worse" if estimate.low > 0 else ""
    return Cell(format_percent(estimate.value), format_interval(estimate), side=side, best=best)
