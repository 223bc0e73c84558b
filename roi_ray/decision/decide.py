"""The decision between the codecs of a sweep."""

from collections.abc import Mapping
from dataclasses import dataclass

from roi_ray.decision.savings import Saving
from roi_ray.decision.sweep_scores import SweepScores

Savings = Mapping[tuple[str, str], Saving]
"""BD-rates by codec and metric; the anchor itself is not in it."""


@dataclass(frozen=True)
class Decision:
    """Which codec of a sweep wins, by how much, where, and whether that can be believed.

    Attributes:
        scores: the scores that it is about.
        anchor: codec that the others are compared with.
        metrics: metrics that were compared, the deciding one first.
        savings: BD-rates over all images.
        bands: the same within bands of the anchor's bit rate: lower and upper end in bits per
            pixel.
        groups: the same within groups of images: column, value.
    """

    scores: SweepScores
    anchor: str
    metrics: tuple[str, ...]
    savings: Savings
    bands: Mapping[tuple[float, float], Savings]
    groups: Mapping[tuple[str, str], Savings]
