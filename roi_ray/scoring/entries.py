"""An image's numbers or failure as JSON values: what `roi-ray pair` and the service answer."""

from typing import Any

from roi_ray import schema
from roi_ray.io.json_values import replace_non_finite
from roi_ray.schema import Failure, Scores


def to_entry(outcome: Scores | Failure) -> dict[str, Any]:
    """Return the numbers by column, and the columns `error_kind` and `error`.

    Args:
        outcome: the scores of an image, or why there are none. JSON has no infinity and no NaN:
            such numbers become None.

    Examples:
        >>> to_entry(Failure("ImageReadError", "x.png: not an image"))
        {'error_kind': 'ImageReadError', 'error': 'x.png: not an image'}
    """
    if isinstance(outcome, Failure):
        return {schema.ERROR_KIND: outcome.kind, schema.ERROR: outcome.text}
    numbers: dict[str, Any] = {
        name: replace_non_finite(value) for name, value in outcome.to_dict().items()
    }
    return {**numbers, schema.ERROR_KIND: None, schema.ERROR: None}
