"""The decision in a few sentences: which codec wins, by how much, and how sure that is."""

from roi_ray.decision.decide import Decision
from roi_ray.decision.savings import Estimate, Saving
from roi_ray.report.page_text import (
    count,
    format_interval,
    format_percent,
    is_roi,
    join_words,
    label_metric,
    shorten,
)

_ROI = "roi_"


def write_verdict(decision: Decision) -> list[str]:
    """Write the decision as sentences, the most important one first.

    Returns:
        plain text, one sentence or two each; names of codecs are shortened.
    """
    ranked = _rank(decision, decision.metrics[0])
    if not ranked:
        return [_say_nothing_valid(decision)]
    sentences = [_say_winner(decision, ranked)]
    if second := _say_second(decision, ranked):
        sentences.append(second)
    roi = _ROI + decision.metrics[0]
    if roi in decision.metrics:
        sentences.append(_say_region(decision, roi, ranked[0].codec))
    if others := _say_other_metrics(decision, _winner(decision, ranked)):
        sentences.append(others)
    return sentences


def _rank(decision: Decision, metric: str) -> list[Saving]:
    """Return the savings with a valid mean, the lowest first."""
    valid = [s for (_, m), s in decision.savings.items() if m == metric and s.mean is not None]
    return sorted(valid, key=_value)


def _value(saving: Saving) -> float:
    assert saving.mean is not None
    return saving.mean.value


def _winner(decision: Decision, ranked: list[Saving]) -> str:
    return ranked[0].codec if ranked and _value(ranked[0]) < 0 else decision.anchor


def _say_nothing_valid(decision: Decision) -> str:
    label, anchor = label_metric(decision.metrics[0]), shorten(decision.anchor)
    if not decision.savings:
        return f"There is only one codec, {anchor}: nothing to compare it with."
    return (
        f"No decision: no codec has a valid BD-rate against {anchor} by {label}. "
        "The table below says why."
    )


def _say_winner(decision: Decision, ranked: list[Saving]) -> str:
    best, label = ranked[0], label_metric(decision.metrics[0])
    assert best.mean is not None
    anchor = shorten(decision.anchor)
    if best.mean.value >= 0:
        return (
            f"{anchor} needs the fewest bits: no other codec reaches the same {label} with fewer. "
            f"The closest is {shorten(best.codec)} with {_say_estimate(best.mean)}."
        )
    change = format_percent(abs(best.mean.value)).lstrip("+")
    doubt = ""
    if best.mean.high is None:
        doubt = " There are too few images for an interval, so this may be chance."
    elif best.mean.high >= 0:
        doubt = " The interval includes 0: this may be chance."
    return (
        f"{shorten(best.codec)} needs the fewest bits: {change} fewer than {anchor} for the same "
        f"{label}, on average over {count(best.valid, 'image')}{_say_interval(best.mean)}.{doubt}"
    )


def _say_second(decision: Decision, ranked: list[Saving]) -> str | None:
    if len(ranked) < 2:
        return None
    first, second = ranked[:2]
    assert first.mean is not None and second.mean is not None
    text = f"{shorten(second.codec)} is next with {_say_estimate(second.mean)}"
    if first.mean.high is None or second.mean.low is None:
        return f"{text}."
    if first.mean.high >= second.mean.low:
        return f"{text}. The two intervals overlap: which of the two is better is not certain."
    return f"{text}. The two intervals do not overlap."


def _say_region(decision: Decision, roi: str, first: str) -> str:
    ranked, label = _rank(decision, roi), label_metric(roi)
    if not ranked:
        return f"Where people look: no codec has a valid BD-rate by {label}."
    winner = _winner(decision, ranked)
    if winner == decision.anchor:
        return f"Where people look, by {label}, no codec needs fewer bits than {shorten(winner)}."
    assert ranked[0].mean is not None
    same = "also " if winner == first else ""
    return (
        f"Where people look, by {label}, {shorten(winner)} is {same}first, with "
        f"{_say_estimate(ranked[0].mean)}."
    )


def _say_other_metrics(decision: Decision, winner: str) -> str | None:
    roi = _ROI + decision.metrics[0]
    same: list[str] = []
    other: dict[str, list[str]] = {}
    none: list[str] = []
    for metric in decision.metrics[1:]:
        if metric == roi:
            continue
        ranked = _rank(decision, metric)
        if not ranked:
            none.append(label_metric(metric))
        elif (codec := _winner(decision, ranked)) == winner:
            same.append(label_metric(metric))
        else:
            other.setdefault(codec, []).append(label_metric(metric))
    total = len(same) + sum(len(names) for names in other.values())
    if not total:
        return None
    text = f"{shorten(winner)} is first by {len(same)} of the {count(total, 'other metric')}"
    if other:
        firsts = [f"{shorten(codec)} by {join_words(names)}" for codec, names in other.items()]
        text += f"; others are first: {'; '.join(firsts)}"
    text += "."
    if none:
        text += f" By {join_words(none)} nothing is valid."
    return text


def _say_estimate(estimate: Estimate) -> str:
    return f"{format_percent(estimate.value)}{_say_interval(estimate)}"


def _say_interval(estimate: Estimate) -> str:
    interval = format_interval(estimate)
    return f" (95{chr(0x202F)}% interval {interval})" if interval else ""


def is_region_measured(decision: Decision) -> bool:
    """Tell whether any metric of the decision is measured in the region of interest."""
    return any(map(is_roi, decision.metrics))
