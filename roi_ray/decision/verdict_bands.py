"""Bit rates at which the opposite of a verdict is certain, in a sentence."""

from collections.abc import Mapping

from roi_ray.decision.rate_curves import Band
from roi_ray.decision.savings import Savings
from roi_ray.decision.winners import Winner
from roi_ray.decision.words import name_band


def word_bands(winner: Winner, anchor: str, bands: Mapping[Band, Savings]) -> list[str]:
    """Say at which bit rates the winner is certainly worse than the anchor.

    A mean over all bit rates hides that two curves cross. Where the anchor wins, this says where
    the second is certainly better.

    Args:
        winner: the winner by some metric.
        anchor: the anchor.
        bands: BD-rates by band of the anchor's bit rate.
    """
    if winner.best is None:
        return []
    codec = winner.ranking[1] if winner.best == anchor else winner.best
    sign = -1 if winner.best == anchor else 1
    places = []
    for band, savings in bands.items():
        saving = savings.get((codec, winner.metric))
        if saving is None or saving.mean is None:
            continue
        mean = saving.mean
        if mean.low is None or mean.high is None or min(sign * mean.low, sign * mean.high) <= 0:
            continue
        places.append(f"{abs(mean.value):.1f} % at {name_band(band)} bpp")
    if not places:
        return []
    return [
        f"It depends on the bit rate: {codec} needs {'more' if sign > 0 else 'fewer'} bits than "
        f"{anchor} in some bands of {anchor}'s bit rate: {'; '.join(places)}."
    ]
