"""Pairs whose answer is known without asking: the gold questions of scores."""

import numpy as np
from numpy.typing import NDArray

from roi_ray.votes.questions.pairs import share_out
from roi_ray.votes.questions.score_columns import Codes
from roi_ray.votes.questions.score_images import ScoreImages

Mask = NDArray[np.bool_]

MIN_LEAD = 6.0
"""Least difference of MS-SSIM in dB between the two images of a gold question."""

MAX_WORSE = 17.0
"""MS-SSIM of the worse image in dB, at most: 0.98. Above, people may not see that it is worse.

In mucped23, 90 % of the answers about pairs with this lead are for the better image, and 96 % (48
of 50) where the worse image is below this.
"""

MAX_GOLD = 100
"""Gold questions of a study, at most. A rater gets a few of them."""

_TRIED, _MOST_REFERENCES = 256, 1000
"""Pairs of an original that are tried, at most; originals, likewise."""


def find_better(images: ScoreImages, first: Codes, second: Codes) -> NDArray[np.int8]:
    """Tell which image of each pair is certainly better: in every column, and visibly.

    Args:
        images: the images.
        first: number of one image of each pair, (K,).
        second: number of the other one, (K,).

    Returns:
        1 for the first, -1 for the second, 0 if it is not certain, (K,).
    """
    a, b = images.ms_ssim[first], images.ms_ssim[second]
    with np.errstate(invalid="ignore"):
        lead = np.nan_to_num(a - b, nan=0.0)  # of two perfect images, infinity less infinity
    candidates = np.flatnonzero((np.abs(lead) >= MIN_LEAD) & (np.minimum(a, b) <= MAX_WORSE))
    sign = np.sign(lead[candidates])
    better, worse = images.quality[first[candidates]], images.quality[second[candidates]]
    unknown = np.isnan(better) & np.isnan(worse)
    agrees = ((better - worse) * sign[:, None] >= 0) | unknown
    found = np.zeros(len(first), np.int8)
    found[candidates] = np.where(agrees.all(1), sign, 0)
    return found


def choose_gold(images: ScoreImages, limit: int, rng: np.random.Generator) -> Codes:
    """Choose gold questions at random, spread over the originals.

    Args:
        images: the images.
        limit: number of questions, at most.
        rng: source of randomness.

    Returns:
        numbers of the better and of the worse image of each, (K, 2).
    """
    references = rng.permutation(np.flatnonzero(np.diff(images.starts) > 1))
    tried = [_try_pairs(images, reference, rng) for reference in references[:_MOST_REFERENCES]]
    shares = share_out(limit, np.array([len(pairs) for pairs in tried], np.int64))
    chosen = [pairs[:share] for pairs, share in zip(tried, shares, strict=True)]
    return np.concatenate([np.empty((0, 2), np.int64), *chosen])


def _try_pairs(images: ScoreImages, reference: int, rng: np.random.Generator) -> Codes:
    """List certain pairs of an original in random order, the better image first, (K, 2)."""
    start, stop = images.starts[reference : reference + 2].tolist()
    size = stop - start
    if size * (size - 1) // 2 <= _TRIED:
        first, second = np.triu_indices(size, 1)
        order = rng.permutation(len(first))
        first, second = first[order], second[order]
    else:
        first, second = rng.integers(0, size, (2, _TRIED))
        low, high = np.minimum(first, second), np.maximum(first, second)
        _, places = np.unique(low * size + high, return_index=True)
        places = np.sort(places)
        first, second = low[places], high[places]
    first, second = first + start, second + start
    better = find_better(images, first, second)
    pairs = np.stack([first, second], 1)
    ordered: Codes = np.where(better[:, None] > 0, pairs, pairs[:, ::-1])[better != 0]
    return ordered
