"""What resampled references say of others: intervals, and chances of a sign.

Shares of resampled values are taken for tails of the statistic's distribution, which they are only
where references are many: plain percentiles hold the truth 80 times in 100 for three references, 90
for twelve. Here they are as wide as Student's t asks for: the expanded percentiles of Hesterberg,
"What teachers should know about the bootstrap", The American Statistician 69(4), 2015.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONFIDENCE = 0.95


def percentiles(samples: NDArray[np.float64], references: int) -> tuple[float, float]:
    """The 95 % interval of a statistic.

    Args:
        samples: its values on resampled references.
        references: how many each sample drew.

    Returns:
        low and high; NaN for one reference, which says nothing of others.
    """
    if references < 2:
        return np.nan, np.nan
    tail = (1 - CONFIDENCE) / 2
    freedom = references - 1
    share = special.ndtr(special.stdtrit(freedom, tail) * _wider(references))
    low, high = np.quantile(samples, [share, 1 - share]).tolist()
    return low, high


def p_value(samples: NDArray[np.float64], references: int) -> float:
    """Chance of a statistic so far from 0, either way, were it 0; arguments: see `percentiles`.

    NaN for one reference.
    """
    if references < 2:
        return np.nan
    below = np.count_nonzero(samples <= 0) + 0.5
    above = np.count_nonzero(samples >= 0) + 0.5
    share = min(0.5, min(below, above) / (len(samples) + 1))
    return float(2 * special.stdtr(references - 1, special.ndtri(share) / _wider(references)))


def _wider(references: int) -> float:
    # A sample's variance is too small by this, squared.
    return float((references / (references - 1)) ** 0.5)
