"""Confidence intervals and p-values from a bootstrap over references.

Plain percentiles of resampled values are too narrow for few references: a nominal 95 % interval
contains the true value 80 times in 100 with three references, 90 times with twelve. The expanded
percentiles used here are as wide as intervals of Student's t (Hesterberg, "What Teachers Should
Know About the Bootstrap", The American Statistician 69(4), 2015).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONFIDENCE = 0.95


def percentiles(samples: NDArray[np.float64], references: int) -> tuple[float, float]:
    """Compute the 95 % interval of a statistic.

    Args:
        samples: values of the statistic on resampled references.
        references: number of references in each sample.

    Returns:
        lower and upper end; NaN for a single reference, which says nothing about others.
    """
    if references < 2:
        return np.nan, np.nan
    tail = (1 - CONFIDENCE) / 2
    freedom = references - 1
    share = special.ndtr(special.stdtrit(freedom, tail) * _expansion(references))
    low, high = np.quantile(samples, [share, 1 - share]).tolist()
    return low, high


def p_value(samples: NDArray[np.float64], references: int) -> float:
    """Compute the two-sided p-value of the hypothesis that a statistic is 0.

    Args:
        samples: values of the statistic on resampled references.
        references: number of references in each sample.

    Returns:
        p-value in 0..1; NaN for a single reference.
    """
    if references < 2:
        return np.nan
    below = np.count_nonzero(samples <= 0) + 0.5
    above = np.count_nonzero(samples >= 0) + 0.5
    share = min(0.5, min(below, above) / (len(samples) + 1))
    return float(2 * special.stdtr(references - 1, special.ndtri(share) / _expansion(references)))


def _expansion(references: int) -> float:
    """Compute the factor by which resampling underestimates the standard deviation."""
    return float((references / (references - 1)) ** 0.5)
