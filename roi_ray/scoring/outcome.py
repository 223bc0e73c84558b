"""Whether the scores of a pair can be stored."""

import math
from dataclasses import asdict

from roi_ray.errors import NonFiniteScore
from roi_ray.schema import Failure, Scores


def check_finite(scores: Scores) -> Scores | Failure:
    """Return the scores; or a failure that names those that are infinite or not a number.

    Examples:
        >>> import roi_ray
        >>> from dataclasses import replace
        >>> from roi_ray.sweep import photographs
        >>> photo = roi_ray.load_image(photographs()["chelsea"])
        >>> scores = roi_ray.score(photo, photo)
        >>> check_finite(scores) == scores
        True
        >>> print(check_finite(replace(scores, lpips=float("nan"))))
        NonFiniteScore: lpips not finite
    """
    bad = [
        name
        for name, value in asdict(scores).items()
        if value is not None and not math.isfinite(value)
    ]
    return Failure(NonFiniteScore.__name__, f"{', '.join(bad)} not finite") if bad else scores
