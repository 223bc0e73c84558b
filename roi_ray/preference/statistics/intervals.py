"""Intervals and p-values of shares of answers, where answers about one reference are alike.

The interval is Clopper's and Pearson's (Biometrika 26, 1934), which knows what 20 of 20 says and
what it does not, with two changes of Korn and Graubard (Survey Methodology 24, 1998): answers about
one reference count as fewer independent ones, as far as references differ, and its ends are moved
out as far as those of Student's t, because few references tell little about how much they differ.

The spread between references is unknown where all answers agree. One more event is therefore
counted, a reference all of whose answers go the other way: 20 references that are all right give
the interval of 20 answers, however many answers they have, and it matters little where right and
wrong answers are many.

Coverage of the 95 % interval in simulations, for 1, 10 and 50 answers per reference and a
correlation within references of 0, 0.05 and 0.5 (beta-binomial, 2,000 draws each; the least and
the most):

| true share | 6 references | 12 | 20 | 40 |
|---|---|---|---|---|
| 0.5 | 0.97 .. 1.00 | 0.96 .. 0.99 | 0.96 .. 0.99 | 0.95 .. 0.97 |
| 0.8 | 0.96 .. 1.00 | 0.94 .. 1.00 | 0.95 .. 0.98 | 0.95 .. 0.97 |
| 0.9 | 0.99 .. 1.00 | 0.93 .. 1.00 | 0.93 .. 0.99 | 0.95 .. 0.98 |
| 0.95 | 1.00 | 0.99 .. 1.00 | 0.96 .. 1.00 | 0.92 .. 0.99 |
| 0.99 | 1.00 | 0.99 .. 1.00 | 0.98 .. 1.00 | 0.99 .. 1.00 |

Resampled references do not know what they have not seen: percentiles of them, widened as Student's
t, cover a share of 0.95 in 26 to 92 of 100 draws of 6 references, and one of 0.99 in 5 to 97.

The p-value inverts the same test: it is below 0.05 exactly where the 95 % interval leaves out the
hypothesis.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

CONFIDENCE = 0.95

MIN_REFERENCES = 6
"""The fewest references that get an interval or a p-value.

Five references that all point the same way do so by chance once in 16 times (the sign test's
two-sided p is 0.0625; with six it is 0.031). With fewer, no result is significant at 5 % unless
the test assumes how references are distributed, which so few of them cannot show.
"""


def describe_missing_interval() -> str:
    """Say why there is no interval where there are few references."""
    return (
        f"No interval (-) where the answers are about fewer than {MIN_REFERENCES} references: even "
        "if all of these agreed, it would not be significant at 5 %."
    )


def count_effective_answers(sums: Floats, counts: Floats, at_stake: Floats) -> float:
    """Compute how many independent answers would tell as much as these.

    Args:
        sums: sum of the values of each reference's answers, values within 0..1, (R,).
        counts: number of each reference's answers, above 0, (R,); R is 2 or more.
        at_stake: number of each reference's answers whose value may be another one, (R,): all, or
            for the difference of two predictors those in which they differ.

    Returns:
        number of answers, above 0; NaN where nothing is at stake.
    """
    if not at_stake.any():
        return math.nan
    references, answers = len(sums), counts.sum()
    share = sums.sum() / answers
    scatter = np.square(sums - share * counts).sum() * references / (references - 1)
    # The event that is not in the data: all that is at stake in one reference goes the other way.
    unseen = np.square(at_stake).sum() / at_stake.sum() * max(share, 1 - share) ** 2
    effective = answers * (answers * share * (1 - share) + 1) / (scatter + unseen)
    # References do not tell more than as many independent answers.
    return float(min(effective, answers**2 / at_stake.sum()))


def interval_of_share(share: float, effective: float, references: int) -> tuple[float, float]:
    """Compute the 95 % interval of a share.

    Args:
        share: the observed share, 0..1.
        effective: number of independent answers behind it, see `count_effective_answers`.
        references: number of references behind it.

    Returns:
        lower and upper end, 0..1; NaN for fewer than `MIN_REFERENCES`.
    """
    if references < MIN_REFERENCES or math.isnan(effective):
        return math.nan, math.nan
    tail = special.ndtr(special.stdtrit(references - 1, (1 - CONFIDENCE) / 2))
    right, wrong = share * effective, (1 - share) * effective
    low = special.betaincinv(right, wrong + 1, tail) if right > 0 else 0.0
    high = special.betainccinv(right + 1, wrong, tail) if wrong > 0 else 1.0
    return float(low), float(high)


def p_value_of_half(share: float, effective: float, references: int) -> float:
    """Compute the two-sided p-value of the hypothesis that a share is 0.5.

    For arguments see `interval_of_share`.

    Returns:
        p-value, 0..1; NaN for fewer than `MIN_REFERENCES`; 1 where nothing is at stake.
    """
    if references < MIN_REFERENCES:
        return math.nan
    if math.isnan(effective):
        return 1.0
    right, wrong = share * effective, (1 - share) * effective
    above = special.betainc(right, wrong + 1, 0.5) if right > 0 else 1.0
    below = special.betaincc(right + 1, wrong, 0.5) if wrong > 0 else 1.0
    normal = special.ndtri(min(above, below))
    return min(1.0, 2 * float(special.stdtr(references - 1, normal)))
