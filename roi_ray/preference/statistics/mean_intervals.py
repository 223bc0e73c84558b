"""Intervals and p-values of means over answers that are not shares, such as a mean log-loss.

A loss has no upper end, so that the intervals of `intervals` do not apply. The standard error is
the cluster-robust one CR2 and the quantile is Student's t with Satterthwaite's degrees of freedom
(Bell and McCaffrey, Survey Methodology 28, 2002). Both are computed as if all answers about one
reference were alike: this is the case that leaves the fewest degrees of freedom where some
references have many more answers than others. With equal numbers of answers it is Student's t of
the references' means, with R - 1 degrees of freedom.

Coverage of the 95 % interval of a mean log-loss in simulations with an average of 20 answers per
reference, whose numbers are equal or have a geometric distribution. References differ in difficulty
and in bias by a standard deviation of 0, 0.3 and 1 logit; predictions are calibrated, or too
confident by 1.8 and 3 times (1,000 draws each; the least and the most):

| answers per reference | 6 references | 12 | 20 | 36 |
|---|---|---|---|---|
| equal | 0.93 .. 0.96 | 0.94 .. 0.95 | 0.93 .. 0.96 | 0.93 .. 0.96 |
| uneven | 0.97 .. 0.99 | 0.96 .. 0.98 | 0.96 .. 0.98 | 0.96 .. 0.97 |

Without these corrections, Student's t covers the mean in 86 to 96 of 100 draws of uneven numbers.

The p-value inverts the same test: it is below 0.05 exactly where the 95 % interval leaves out 0.
"""

import math

import numpy as np
from scipy import special

from roi_ray.preference.statistics.intervals import CONFIDENCE, MIN_REFERENCES, Floats


def interval_of_mean(sums: Floats, counts: Floats) -> tuple[float, float]:
    """Compute the 95 % interval of a mean over answers.

    Args:
        sums: sum of the values of each reference's answers, (R,).
        counts: number of each reference's answers, above 0, (R,).

    Returns:
        lower and upper end, in the unit of the values; NaN for fewer than `MIN_REFERENCES`.
    """
    if len(sums) < MIN_REFERENCES:
        return math.nan, math.nan
    mean = float(sums.sum() / counts.sum())
    error, freedom = _standard_error(sums, counts)
    reach = -float(special.stdtrit(freedom, (1 - CONFIDENCE) / 2)) * error
    return mean - reach, mean + reach


def p_value_of_no_mean(sums: Floats, counts: Floats) -> float:
    """Compute the two-sided p-value of the hypothesis that the mean is 0.

    For arguments see `interval_of_mean`.

    Returns:
        p-value, 0..1; NaN for fewer than `MIN_REFERENCES`; 1 where all values are 0.
    """
    if len(sums) < MIN_REFERENCES:
        return math.nan
    mean = float(sums.sum() / counts.sum())
    error, freedom = _standard_error(sums, counts)
    if error == 0:
        return float(mean == 0)
    return 2 * float(special.stdtr(freedom, -abs(mean) / error))


def degrees_of_freedom(counts: Floats) -> float:
    """Compute Satterthwaite's degrees of freedom, as if answers about one reference were alike.

    If each reference has an effect with variance v on all its answers, the residuals of the
    references, (R,), have the covariance v M diag(counts^2) M^T with M = I - share 1^T.

    Args:
        counts: number of each reference's answers, above 0, (R,); R is 2 or more.

    Returns:
        degrees of freedom, at most R - 1, which equal numbers of answers have.
    """
    share = counts / counts.sum()
    centring = np.eye(len(counts)) - share[:, None]
    covariance = (centring * np.square(counts)) @ centring.T
    # Scaled as the residuals are in the standard error.
    shrinkage = _shrinkage(share)
    covariance /= np.sqrt(np.outer(shrinkage, shrinkage))
    return float(np.trace(covariance) ** 2 / np.square(covariance).sum())


def _standard_error(sums: Floats, counts: Floats) -> tuple[float, float]:
    """Compute the standard error of the mean, and its degrees of freedom."""
    total = counts.sum()
    residual = sums - sums.sum() / total * counts
    error = math.sqrt((np.square(residual) / _shrinkage(counts / total)).sum()) / total
    return error, degrees_of_freedom(counts)


def _shrinkage(share: Floats) -> Floats:
    """Compute by how much the expected square of a residual is smaller than the effect's, (R,)."""
    return 1 - 2 * share + float(np.square(share).sum())
