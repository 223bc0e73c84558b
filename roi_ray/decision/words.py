"""Words of sentences about decisions."""

import math

from roi_ray.decision.rate_curves import Band


def name_band(band: Band) -> str:
    """Name a band of bit rates: `up to 0.25`, `0.25 to 0.5`, `2 and more`."""
    low, high = band
    if math.isinf(high):
        return f"{low:g} and more"
    return f"{low:g} to {high:g}" if low > 0 else f"up to {high:g}"
