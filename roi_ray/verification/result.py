"""What a verification found: per column, how far the scores are from the numbers computed anew."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

Number = float | None


@dataclass(frozen=True)
class Comparison:
    """A number of the scores beside the one computed anew.

    Attributes:
        pair_id: the pair.
        distorted: URI of its distorted image, as in the scores.
        stored: the number in the scores; None if null.
        computed: the number computed anew; None if it must be null.
        allowed: largest difference that is rounding.
    """

    pair_id: str
    distorted: str
    stored: Number
    computed: Number
    allowed: float

    @property
    def difference(self) -> float:
        """Absolute difference; infinite if one is null or not a number, and the other is."""
        if self.stored is None or self.computed is None:
            return 0.0 if self.stored is self.computed else math.inf
        difference = abs(self.stored - self.computed)
        return math.inf if math.isnan(difference) else difference

    @property
    def excess(self) -> float:
        """The difference as a multiple of the allowed one; more than 1 is off."""
        if self.difference == 0:
            return 0.0
        return self.difference / self.allowed if self.allowed else math.inf


@dataclass(frozen=True)
class ColumnResult:
    """What was found in one column.

    Attributes:
        name: the column.
        source: what the numbers were computed with.
        pairs: number of pairs compared.
        worst_difference: absolute difference of the pair in `worst`; infinite if a number is null
            or not a number.
        typical: median of the absolute differences.
        allowed: largest difference that is rounding, of the pair in `worst`.
        off: number of pairs that are further off than allowed.
        worst: the pair that is furthest off, as a multiple of what is allowed; None if all are
            equal.
        not_checked: why the column was not checked; None if it was.
    """

    name: str
    source: str
    pairs: int = 0
    worst_difference: float = 0.0
    typical: float = 0.0
    allowed: float = 0.0
    off: int = 0
    worst: Comparison | None = None
    not_checked: str | None = None

    @property
    def verdict(self) -> str:
        """`agrees`, `off` or `not checked`."""
        if self.off:
            return "off"
        return "agrees" if self.pairs else "not checked"


def summarize_column(name: str, source: str, comparisons: list[Comparison]) -> ColumnResult:
    """Summarize the comparisons of one column."""
    if not comparisons:
        return ColumnResult(name, source, not_checked="no pair could be compared")
    worst = max(comparisons, key=lambda each: each.excess)
    if worst.excess == 0:  # all are equal: show what would have been allowed
        worst = max(comparisons, key=lambda each: each.allowed)
    return ColumnResult(
        name,
        source,
        pairs=len(comparisons),
        worst_difference=worst.difference,
        typical=median(each.difference for each in comparisons),
        allowed=worst.allowed,
        off=sum(each.excess > 1 for each in comparisons),
        worst=worst if worst.excess else None,
    )


@dataclass(frozen=True)
class Unverified:
    """A drawn pair whose numbers could not be computed anew.

    Attributes:
        pair_id: the pair.
        distorted: URI of its distorted image, as in the scores.
        error_kind: class of the error, such as `ImageReadError`.
        error: which file, and what is wrong with it.
    """

    pair_id: str
    distorted: str
    error_kind: str
    error: str


@dataclass(frozen=True)
class Verification:
    """Result of `verify_scores`.

    Attributes:
        output: URI of the scores.
        seed: seed of the draw.
        scored: number of pairs with scores in the output.
        drawn: number of pairs drawn.
        columns: what was found, per column of the scores.
        unverified: drawn pairs whose files cannot be read again, or have changed.
        foreign: URIs of files in a shard's place that are torn or of another run.
        settings: `lpips`, `roi_weighting` and `precision` of the run.
        scoring_version: scoring version of the run, which is this package's.
        packages: versions of the packages that computed the numbers.
        device: where the networks ran.
        seconds: duration, without the time to load the networks.
    """

    output: str
    seed: int
    scored: int
    drawn: int
    columns: tuple[ColumnResult, ...]
    unverified: tuple[Unverified, ...]
    foreign: tuple[str, ...]
    settings: Mapping[str, str]
    scoring_version: int
    packages: Mapping[str, str]
    device: str
    seconds: float

    @property
    def verified(self) -> int:
        """Number of pairs whose numbers were computed anew."""
        return self.drawn - len(self.unverified)

    @property
    def off(self) -> tuple[ColumnResult, ...]:
        """The columns in which a number is further off than allowed."""
        return tuple(column for column in self.columns if column.off)

    @property
    def agrees(self) -> bool:
        """Whether every drawn pair was computed anew, and no number is off."""
        return not self.off and not self.unverified

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values; infinite differences become None, for JSON."""
        return {
            **{name: value for name, value in vars(self).items() if name != "columns"},
            "verified": self.verified,
            "agrees": self.agrees,
            "columns": {column.name: _to_dict(column) for column in self.columns},
            "unverified": [asdict(pair) for pair in self.unverified],
            "foreign": list(self.foreign),
        }


def _to_dict(column: ColumnResult) -> dict[str, Any]:
    values = {name: value for name, value in vars(column).items() if name not in ("name", "worst")}
    worst = column.worst
    values["verdict"] = column.verdict
    values["worst"] = worst and _finite({**asdict(worst), "difference": worst.difference})
    return _finite(values)


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
