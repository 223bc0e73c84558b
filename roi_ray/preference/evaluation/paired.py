"""Pairs of contenders that an evaluation tests against each other, on the same answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roi_ray.preference.comparisons.examples import Examples, Floats
from roi_ray.preference.evaluation.contenders import METHOD_NAME
from roi_ray.preference.statistics.measures import (
    PairedDifference,
    paired_difference,
    paired_loss_difference,
)


@dataclass(frozen=True)
class PairedResult:
    """The difference of two contenders on the same answers: the first minus the second.

    Attributes:
        first: name of the first contender.
        second: name of the second contender.
        log_loss: difference of log-loss in nats; below 0, the first is better.
        accuracy: difference of accuracy, -1..1; above 0, the first is better.
    """

    first: str
    second: str
    log_loss: PairedDifference
    accuracy: PairedDifference


@dataclass(frozen=True)
class AnswerScores:
    """Log-loss and agreement of one contender with each answer, mean over repeats, (N,) each."""

    log_loss: Floats
    agreement: Floats


def choose_pairs(names: Sequence[str], best_metric: str | None) -> list[tuple[str, str]]:
    """Choose the pairs that answer a judge's questions, the most important first.

    Does the region of interest help? Is the model better than the best single metric, and than
    the methods' names? Is roi-ray's recipe better than the paper's? Does early stopping help?

    Args:
        names: names of all contenders.
        best_metric: name of the metric with the lowest log-loss.
    """
    recipes = [name.removeprefix("ROI ") for name in names if name.startswith("ROI ")]
    main = [name for name in recipes if "," not in name]
    pairs = [(f"ROI {name}", f"BASIC {name}") for name in recipes]
    pairs += [(f"ROI {name}", best_metric) for name in main if best_metric]
    pairs += [(f"ROI {name}", METHOD_NAME) for name in main]
    pairs += [(f"{label} roi-ray", f"{label} paper") for label in ("ROI", "BASIC")]
    pairs += [
        (f"{label} {name.split(',')[0]}", f"{label} {name}")
        for name in recipes
        if "," in name
        for label in ("ROI", "BASIC")
    ]
    return [pair for pair in pairs if set(pair) <= set(names)]


def compare_pairs(
    pairs: Sequence[tuple[str, str]], scores: Mapping[str, AnswerScores], examples: Examples
) -> list[PairedResult]:
    """Test the difference of each pair over references."""
    return [
        PairedResult(
            first,
            second,
            paired_loss_difference(scores[first].log_loss, scores[second].log_loss, examples),
            paired_difference(scores[first].agreement, scores[second].agreement, examples),
        )
        for first, second in pairs
    ]
