"""Which of two images people prefer, as values. Imports nothing heavy."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from roi_ray.schema import Scores


@dataclass(frozen=True)
class Contribution:
    """What one column says about two images.

    Attributes:
        column: name of the column of scores.
        a: number of the first image. Where there is no region of interest, the number of the whole
            image stands in for that under the mask.
        b: number of the second image, likewise.
        logit: its share of the logit; above 0 where it speaks for the first image.
    """

    column: str
    a: float
    b: float
    logit: float


@dataclass(frozen=True)
class GroupContribution:
    """What a group of similar columns says about two images.

    Attributes:
        group: name of the group, see `groups.GROUPS`.
        columns: the model's columns that are in it and have a share.
        whole_image: share of the logit of the columns of the whole image.
        region: share of the logit of the columns under the mask.
    """

    group: str
    columns: tuple[str, ...]
    whole_image: float
    region: float

    @property
    def logit(self) -> float:
        """Share of the logit; above 0 where the group speaks for the first image."""
        return self.whole_image + self.region


@dataclass(frozen=True, repr=False)
class PairPreference:
    """Which of two images of one original people prefer, as a model predicts it.

    Attributes:
        probability: probability that people prefer the first image, `a`, in [0, 1].
        logit: log(probability / (1 - probability)), above 0 where they prefer `a`; within 1e-4, as
            networks compute probabilities in float32.
        contributions: shares of the logit by column, the largest first; their sum is the logit.
            None if the model is not a sum over its columns.
        groups: the same by group of similar columns. Trust these more than single columns, which
            split what they have in common.
        unexplained: why there are no contributions; None if there are.
        without_region: whether the mask has no region of interest, so that the numbers of the whole
            image stand in for those under it.
        warnings: why the probability is an extrapolation; empty if nothing says so.
        limits: what the model was trained on, and what it has not seen.
        scores_a: scores of `a`.
        scores_b: scores of `b`.
        model: `name` and `sha256` of the model's file; empty if it has none.
    """

    probability: float
    logit: float
    contributions: tuple[Contribution, ...] | None
    groups: tuple[GroupContribution, ...] | None
    unexplained: str | None
    without_region: bool
    warnings: tuple[str, ...]
    limits: str
    scores_a: Scores
    scores_b: Scores
    model: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as values that JSON can hold; each group has its `logit` too."""
        values = {name: value for name, value in vars(self).items() if not name.startswith("score")}
        if self.contributions is not None and self.groups is not None:
            values["contributions"] = [asdict(each) for each in self.contributions]
            values["groups"] = [{**asdict(each), "logit": each.logit} for each in self.groups]
        scores = {"a": self.scores_a.to_dict(), "b": self.scores_b.to_dict()}
        return {**values, "warnings": list(self.warnings), "scores": scores}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PairPreference":
        """Make a preference from the values of `to_dict`, such as a service's answer.

        Raises:
            KeyError: a value is missing.
            ValueError: a score is missing; see `Scores.from_dict`.
        """
        contributions, groups = values["contributions"], values["groups"]
        if contributions is not None and groups is not None:
            contributions = tuple(Contribution(**each) for each in contributions)
            groups = tuple(_read_group(each) for each in groups)
        names = ("probability", "logit", "unexplained", "without_region", "limits", "model")
        return cls(
            **{name: values[name] for name in names},
            contributions=contributions,
            groups=groups,
            warnings=tuple(values["warnings"]),
            scores_a=Scores.from_dict(values["scores"]["a"]),
            scores_b=Scores.from_dict(values["scores"]["b"]),
        )

    def __repr__(self) -> str:
        shares = [f"{each.group} {each.logit:+.2f}" for each in self.groups or ()]
        parts = [f"{format_percent(self.probability)} prefer a", f"logit {self.logit:+.2f}"]
        if shares:
            parts[-1] += f" = {', '.join(shares)}"
        return f"PairPreference({': '.join(parts)})"


def format_percent(probability: float) -> str:
    """Write a probability as a whole percentage, never as 0 % or 100 %.

    Examples:
        >>> [format_percent(p) for p in (0.002, 0.155, 0.5, 0.996)]
        ['<1 %', '16 %', '50 %', '>99 %']
    """
    if probability < 0.01:
        return "<1 %"
    if probability > 0.99:
        return ">99 %"
    return f"{math.floor(100 * probability + 0.5)} %"


def _read_group(values: Mapping[str, Any]) -> GroupContribution:
    """Make a group from its values; the `logit` is their sum."""
    return GroupContribution(
        values["group"], tuple(values["columns"]), values["whole_image"], values["region"]
    )
