"""What a comparison of two source trees says: ratios with intervals, numbers, and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import comb, inf, isnan
from statistics import median
from typing import Any, cast

from roi_ray.bench.compare.turns import PieceTimes
from roi_ray.settings import Precision
from roi_ray.verification.tolerance import allow

_CONFIDENCE = 0.95
_SSIMULACRA2 = 1e-3
_NEED_MSE = ("psnr", "mse_y", "mse_cb", "mse_cr")

Columns = Mapping[str, Sequence[float | None]]
"""Columns of numbers that a piece of work computed."""


@dataclass(frozen=True)
class Piece:
    """One piece of work in both trees.

    Attributes:
        name: name of the piece.
        old_ms: median milliseconds of the old tree; None if it failed.
        new_ms: likewise of the new tree.
        ratio: time of the old tree divided by that of the new one, the median of all turns: above 1
            is faster than before.
        interval: 95 % interval of the median ratio; see `compute_interval`.
        turns: number of turns of each tree.
        error: what one of the trees failed with.
    """

    name: str
    old_ms: float | None
    new_ms: float | None
    ratio: float | None
    interval: tuple[float, float] | None
    turns: int
    error: str | None

    def is_slower(self, tolerance: float) -> bool:
        """Tell whether the whole interval is slower than before by more than a share."""
        return self.interval is not None and 1 / self.interval[1] > 1 + tolerance

    def is_faster(self, tolerance: float) -> bool:
        """Tell whether the whole interval is faster than before by more than a share."""
        return self.interval is not None and self.interval[0] > 1 + tolerance


@dataclass(frozen=True)
class NumberDifference:
    """The numbers of one column in both trees.

    Attributes:
        column: name of the column.
        largest: largest difference of a number; None if only one of the trees has a number.
        allowed: largest difference that rounding may make, of the same number.
    """

    column: str
    largest: float | None
    allowed: float

    @property
    def is_off(self) -> bool:
        """Whether the difference is more than rounding."""
        return self.largest is None or self.largest > self.allowed


@dataclass(frozen=True)
class Comparison:
    """The comparison of two source trees.

    Attributes:
        old: the old tree: its name, package, version and scoring version.
        new: likewise.
        settings: what was measured: size, images, threads, precision, device, rounds.
        tolerance: share by which a piece may be slower.
        pieces: all pieces that both trees have.
        missing: why pieces are missing, by name and tree (`old`, `new`).
        numbers: differences of all numbers, by column.
        stored: what the stored run said; empty without one.
    """

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    settings: Mapping[str, Any]
    tolerance: float
    pieces: Sequence[Piece]
    missing: Mapping[str, Mapping[str, str]]
    numbers: Sequence[NumberDifference]
    stored: Mapping[str, Any]

    @property
    def slower(self) -> list[str]:
        """Names of pieces that are slower than before."""
        return [piece.name for piece in self.pieces if piece.is_slower(self.tolerance)]

    @property
    def broken(self) -> list[str]:
        """Names of pieces that one of the trees has and fails in."""
        return [piece.name for piece in self.pieces if piece.error is not None]

    @property
    def off(self) -> list[str]:
        """Columns whose numbers differ although both trees have the same scoring version."""
        if self.old["scoring_version"] != self.new["scoring_version"]:
            return []
        return [number.column for number in self.numbers if number.is_off]

    @property
    def has_passed(self) -> bool:
        """Whether nothing is slower, broken or off."""
        return not (self.slower or self.broken or self.off)

    def as_json(self) -> dict[str, Any]:
        """Convert to JSON values, with the verdict."""
        verdict = {"passed": self.has_passed, "slower": self.slower, "off": self.off}
        return {**asdict(self), **verdict}


def summarise_piece(name: str, times: PieceTimes) -> Piece:
    """Compute the ratio of a piece and its interval."""
    if times.error is not None or not times.old:
        return Piece(name, None, None, None, None, 0, times.error)
    ratios = [old / new for old, new in zip(times.old, times.new, strict=True)]
    old, new = 1000 * median(times.old), 1000 * median(times.new)
    return Piece(name, old, new, median(ratios), compute_interval(ratios), len(ratios), None)


def compute_interval(
    values: Sequence[float], confidence: float = _CONFIDENCE
) -> tuple[float, float]:
    """Compute an interval of the median that assumes no distribution.

    It lies between two of the values, as each value is below the median with probability 1/2.

    Args:
        values: independent values.
        confidence: probability that the interval contains the median. Fewer than 6 values do not
            reach 95 %; theirs is from the smallest to the largest value.

    Examples:
        >>> compute_interval([5, 1, 2, 4, 3, 6, 7, 8, 9, 10])
        (2, 9)
        >>> compute_interval([3, 1, 2])
        (1, 3)
    """
    ordered, count = sorted(values), len(values)
    outside, left_out = 2 * 0.5**count, 0
    while outside + 2 * comb(count, left_out + 1) * 0.5**count <= 1 - confidence:
        left_out += 1
        outside += 2 * comb(count, left_out) * 0.5**count
    return ordered[left_out], ordered[count - 1 - left_out]


def compare_numbers(
    numbers: Sequence[tuple[Columns, Columns]], precision: str
) -> list[NumberDifference]:
    """Compare the numbers of both trees.

    Args:
        numbers: columns of the old tree and of the new one, of every piece.
        precision: precision of the networks.

    Returns:
        the largest difference of each column, relative to what rounding may make.
    """
    worst: dict[str, NumberDifference] = {}
    for old, new in numbers:
        for difference in _compare_columns(old, new, precision):
            known = worst.get(difference.column)
            if known is None or _excess(difference) > _excess(known):
                worst[difference.column] = difference
    return list(worst.values())


def _compare_columns(old: Columns, new: Columns, precision: str) -> list[NumberDifference]:
    differences = []
    for column in (name for name in old if name in new):
        for row, (a, b) in enumerate(zip(old[column], new[column], strict=True)):
            if (a is None or isnan(a)) and (b is None or isnan(b)):
                continue
            if a is None or b is None or isnan(a) or isnan(b):
                differences.append(NumberDifference(column, None, 0.0))
                continue
            of_row = {name: values[row] for name, values in old.items()}
            allowed = _allow(column, of_row, precision)
            differences.append(NumberDifference(column, abs(a - b), allowed))
    return differences


def _allow(column: str, row: Mapping[str, float | None], precision: str) -> float:
    """Return the largest difference that rounding may make, in both trees together."""
    basic = column.removeprefix("roi_")
    if basic.startswith("ssimulacra2"):
        return _SSIMULACRA2
    if basic in _NEED_MSE and "mse" not in row:  # the result of a function of tensors
        return 2 * (1e-5 if basic == "psnr" else 1e-5 * abs(row[column] or 0.0))
    return 2 * allow(column, row, cast(Precision, precision), False, False)


def _excess(difference: NumberDifference) -> float:
    return inf if difference.largest is None else difference.largest - difference.allowed
