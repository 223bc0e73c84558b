"""The result of a decision in sentences, with what speaks against it."""

from collections.abc import Mapping, Sequence

from roi_ray.decision.flags import Flag
from roi_ray.decision.rate_curves import Band
from roi_ray.decision.resampling import Estimate
from roi_ray.decision.savings import Saving, Savings
from roi_ray.decision.verdict_bands import word_bands
from roi_ray.decision.winners import Winner
from roi_ray.preference.statistics.intervals import MIN_REFERENCES
from roi_ray.runtime.words import count_noun

_WIDE_GAP = 0.1
"""Share of the quality range from which one end counts as missing."""

_SHOWN = 0.05
"""Percent below which a number is shown as 0.0, so that its sign says nothing."""

_MIXED = 0.1
"""Share of the images against the mean from which a result is called mixed."""


def word_verdict(
    anchor: str,
    metrics: Sequence[str],
    codecs: Sequence[str],
    savings: Savings,
    winners: Mapping[str, Winner],
    bands: Mapping[Band, Savings],
) -> tuple[str, ...]:
    """Write the verdict.

    Args:
        anchor: the anchor.
        metrics: metrics, the deciding one first.
        codecs: the other codecs.
        savings: BD-rates by codec and metric.
        winners: winner by metric.
        bands: BD-rates by band of the anchor's bit rate.
    """
    if not codecs:
        return (f"There is nothing to compare: {anchor} is the only codec.",)
    winner = winners[metrics[0]]
    if winner.best is None:
        sentences = [f"No codec can be compared with {anchor} by {winner.metric}."]
        other = next((winners[m] for m in metrics if winners[m].best is not None), None)
        if other is not None:
            sentences.append(_word_result(other, anchor, savings))
    else:
        sentences = [_word_result(winner, anchor, savings), *_word_lead(winner, anchor)]
        sentences += _word_mixed(winner, anchor, savings)
        sentences += word_bands(winner, anchor, bands)
        sentences += _word_mean_curve(winner, anchor, savings)
        sentences += _word_region(winner, anchor, savings, winners)
        sentences += _word_other_metrics(winner, metrics, winners)
    return (*sentences, *_word_unranked(winner, anchor, savings))


def _word_result(winner: Winner, anchor: str, savings: Savings) -> str:
    best = winner.best
    if best == anchor:
        second = winner.ranking[1]
        saving = savings[second, winner.metric]
        return (
            f"No codec needs fewer bits than {anchor} for the same {winner.metric}: the next, "
            f"{second}, {_word_bits(saving, anchor)}."
        )
    saving = savings[best or "", winner.metric]
    bits = _word_bits(saving, anchor, f" for the same {winner.metric}")
    return f"{best} {bits}{_few(saving.valid)}."


def _word_bits(saving: Saving, anchor: str, same: str = "") -> str:
    """Say `needs 31.2 % fewer bits than jpeg (95 % interval 28.0 to 34.1 %, 24 images)`."""
    mean = saving.mean
    if mean is None:
        return f"cannot be compared with {anchor}"
    images = count_noun(saving.valid, "image")
    if saving.valid < saving.comparable:
        images = f"{saving.valid:,} of {count_noun(saving.comparable, 'image')}"
    if f"{mean.value:.1f}" in ("0.0", "-0.0"):
        text = f"needs as many bits as {anchor}"
    else:
        text = f"needs {abs(mean.value):.1f} % {_fewer(mean.value)} bits than {anchor}"
    return f"{text}{same} ({_word_interval(mean, ' %')}{images})"


def _word_interval(estimate: Estimate, unit: str) -> str:
    """Write an interval without the sign of its value: `fewer` or `more` says the direction."""
    if estimate.low is None or estimate.high is None:
        return ""
    sign = -1 if estimate.value < 0 else 1
    # Adding 0 turns -0.0 into 0.0.
    low, high = sorted(round(sign * end, 1) + 0.0 for end in (estimate.low, estimate.high))
    return f"95 % interval {low:.1f} to {high:.1f}{unit}, "


def _few(images: int) -> str:
    if images >= MIN_REFERENCES:
        return ""
    are = "1 image is" if images == 1 else f"{images} images are"
    return f"; {are} too few to generalize from (intervals need {MIN_REFERENCES})"


def _word_lead(winner: Winner, anchor: str) -> list[str]:
    """Say whether the first is proven to be better than the second."""
    first, second = winner.ranking[:2]
    lead = winner.lead
    if lead is None:
        return [
            f"Whether {first} is better than {second} is not known: too few images are valid "
            f"for both ({winner.images:,})."
        ]
    if lead.high is None:
        return []
    if anchor in (first, second):
        if winner.proven:
            return []
        return [f"That {first} is better than {second} is not proven: the interval includes 0."]
    points = f"{abs(lead.value):.1f} percentage points ({_word_interval(lead, '')}"
    points += f"{winner.images} images)"
    if winner.proven:
        return [f"It is proven to be better than the next, {second}: by {points}."]
    return [
        f"That it is better than the next, {second}, is not proven: the difference is {points}."
    ]


def _word_mixed(winner: Winner, anchor: str, savings: Savings) -> list[str]:
    """Say on how many images the best codec needs more bits than the anchor."""
    best = winner.best
    if best is None or best == anchor:
        return []
    saving = savings[best, winner.metric]
    against = int((saving.per_image >= _SHOWN).sum())
    if against < max(_MIXED * saving.valid, 1):
        return []
    return [
        f"Results are mixed: on {against} of {saving.valid} images, {best} needs more bits than "
        f"{anchor}."
    ]


def _word_mean_curve(winner: Winner, anchor: str, savings: Savings) -> list[str]:
    """Say where the mean curves tell another story than the mean over the images."""
    codec = winner.ranking[1] if winner.best == anchor else winner.best
    saving = savings[codec or "", winner.metric]
    mean, curve = saving.mean, saving.curve
    if mean is None or curve is None:
        return []
    bits = f"{codec} needs {abs(curve.value):.1f} % {_fewer(curve.value)} bits than {anchor}"
    if mean.value * curve.value < 0 and min(abs(mean.value), abs(curve.value)) >= _SHOWN:
        return [
            f"The mean curves say the opposite: by them, {bits}. In them, images with large files "
            "weigh more."
        ]
    left_out = sum(saving.flags.get(flag, 0) for flag in (Flag.NO_OVERLAP, Flag.LITTLE_OVERLAP))
    if left_out and mean.low is not None and mean.high is not None:
        if mean.low <= curve.value <= mean.high:
            return []
        return [
            f"The mean leaves out {count_noun(left_out, 'image')} of which {codec} reaches too "
            f"little of {anchor}'s range, and may be biased: by the mean curves, {bits}."
        ]
    return []


def _word_region(
    winner: Winner, anchor: str, savings: Savings, winners: Mapping[str, Winner]
) -> list[str]:
    """Say which codec is best where people look, by the deciding metric."""
    region = winners.get(f"roi_{winner.metric}")
    if region is None:
        return []
    where = f"Where people look, by {region.metric},"
    if region.best is None:
        return [f"{where} no codec can be compared with {anchor}."]
    if region.best == anchor:
        return [f"{where} no codec needs fewer bits than {anchor}."]
    saving = savings[region.best, region.metric]
    also = "also " if region.best == winner.best else ""
    return [f"{where} {region.best} is {also}first: it {_word_bits(saving, anchor)}."]


def _word_other_metrics(
    winner: Winner, metrics: Sequence[str], winners: Mapping[str, Winner]
) -> list[str]:
    """Say which other metrics name the same codec, which another, and which cannot tell."""
    others = [winners[metric] for metric in metrics if metric != winner.metric]
    best = winner.best
    agree = [other.metric for other in others if other.best == best]
    against: dict[str, list[str]] = {}
    unsure = []
    for other in others:
        if other.best is None or best in other.unranked:
            unsure.append(other.metric)
        elif other.best != best:
            doubt = "" if other.proven else " (not proven)"
            against.setdefault(other.best, []).append(other.metric + doubt)
    sentences = []
    if agree:
        sentences.append(f"The same codec is first by {', '.join(agree)}.")
    if against:
        names = "; ".join(f"{codec} is first by {', '.join(by)}" for codec, by in against.items())
        sentences.append(f"Metrics disagree: {names}.")
    if unsure:
        sentences.append(f"{best} cannot be compared by {', '.join(unsure)}.")
    return sentences


def _word_unranked(winner: Winner, anchor: str, savings: Savings) -> list[str]:
    """Say which codecs have no valid BD-rate, why, and what to do."""
    if not winner.unranked:
        return []
    by_flag: dict[str, list[str]] = {}
    for codec in winner.unranked:
        causes = savings[codec, winner.metric].causes
        by_flag.setdefault(causes[0] if causes else Flag.NOT_MEASURED, []).append(codec)
    reasons = "; ".join(f"{', '.join(codecs)} ({flag})" for flag, codecs in by_flag.items())
    sentences = [f"Not ranked by {winner.metric}: {reasons}."]
    if winner.best is not None:
        sentences[0] += (
            " One of them may be better." if len(winner.unranked) > 1 else " It may be better."
        )
    return sentences + _word_gaps(winner, anchor, savings)


def _word_gaps(winner: Winner, anchor: str, savings: Savings) -> list[str]:
    """Say at which end points are missing."""
    gaps = {codec: savings[codec, winner.metric].gaps for codec in winner.unranked}
    known = {codec: gap for codec, gap in gaps.items() if gap is not None}
    missing = []
    for end in ("low", "high"):
        codecs = [codec for codec, gap in known.items() if getattr(gap, end) >= _WIDE_GAP]
        if codecs:
            missing.append(f"{', '.join(codecs)} at {end}er quality")
    if not missing:
        return []
    return [
        f"To compare them, add points to the sweep: {'; '.join(missing)}. Within bands of "
        f"{anchor}'s bit rate more can be compared."
    ]


def _fewer(percent: float) -> str:
    return "fewer" if percent < 0 else "more"
