"""Options of a study."""

import pytest

from roi_ray.errors import UsageError
from roi_ray.votes.options import VoteOptions


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"gold": -0.1}, "gold is -0.1; it must be within 0..1"),
        ({"stop_at": float("nan")}, "stop_at is nan"),
        ({"gold": 0.3, "repeats": 0.3}, "gold and repeats are 0.6"),
        ({"training": -1}, "training is -1"),
        ({"seed": -1}, "seed is -1; it must be 0 or more"),
        ({"questions_per_rater": 0}, "questions_per_rater is 0"),
        ({"max_questions": 0}, "max_questions is 0"),
        ({"max_pixels": -5}, "max_pixels is -5"),
        ({"crop": 10}, "crop is 10 pixels; it must be 64 or more"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options, text) -> None:
    with pytest.raises(UsageError, match=text):
        VoteOptions(**options)
