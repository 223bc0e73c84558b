import numpy as np
import pytest

from roi_ray.datasets.label_direction import DirectionCheck, check_label_direction, subtract
from roi_ray.errors import ManifestError


def test_agreement_ignores_ties_and_rows_without_a_hint() -> None:
    #      agrees, agrees, disagrees, tie, no hint, unknown
    p_a = [1.0, 0.2, 0.9, 0.5, 1.0, 1.0]
    advantage = [3, -1, -1, 2, 0, np.nan]
    check = check_label_direction("set", "size", p_a, advantage)
    assert check == DirectionCheck("size", 3, 2 / 3)
    assert str(check) == "66.7% of 3 answers agree with size"


def test_agreement_is_none_without_comparable_rows() -> None:
    for p_a, advantage in (([], []), ([0.5], [1]), ([1.0], [0])):
        check = check_label_direction("set", "size", p_a, advantage)
        assert check == DirectionCheck("size", 0, None)
        assert str(check) == "nothing to check against size"


def answers(agreeing: int, rows: int) -> tuple[list[float], list[float]]:
    return [1.0] * rows, [1.0] * agreeing + [-1.0] * (rows - agreeing)


def test_reversed_labels_are_refused() -> None:
    with pytest.raises(ManifestError, match=r"^set: only 27\.0% of 100 answers agree with size"):
        check_label_direction("set", "size", *answers(27, 100))


@pytest.mark.parametrize(
    ("agreeing", "rows"),
    [
        (0, 19),  # too few rows
        (400, 1000),  # not less than 0.4
        (8, 21),  # may be chance
        (73, 100),
    ],
)
def test_inconclusive_disagreement_is_accepted(agreeing, rows) -> None:
    assert (
        check_label_direction("set", "size", *answers(agreeing, rows)).agreement == agreeing / rows
    )


def test_weak_hint_is_reported_and_not_enforced() -> None:
    assert check_label_direction("set", "size", *answers(0, 100), refuse=False).agreement == 0


def test_subtract_gives_nan_where_a_value_is_missing() -> None:
    np.testing.assert_array_equal(subtract([1.5, None, 2], [1, 1, None]), [0.5, np.nan, np.nan])
