import math
from statistics import NormalDist

import pytest

from roi_ray.datasets.import_report import read_import_report
from roi_ray.datasets.mos import RatedImage, pair_rated_images
from roi_ray.errors import ManifestError, UsageError


def rate(
    name: str, score: float, error: float, reference: str = "r", **level: object
) -> RatedImage:
    return RatedImage(reference, name, score, error, **level)


def preferred(row: dict[str, object]) -> object:
    return row["a"] if row["p_a"] > 0.5 else row["b"]


def test_only_pairs_that_differ_enough_become_comparisons() -> None:
    images = [
        rate("low", 1.0, 0.3),
        rate("middle", 1.9, 0.4),  # 1.8 standard errors of the difference above low
        rate("high", 4.0, 0.4),
        rate("other", 9.0, 0.1, reference="s"),
    ]
    table = pair_rated_images("set", "/data", images, 2.0)
    rows = table.to_pylist()
    assert {frozenset((row["a"], row["b"])) for row in rows} == {
        frozenset(("low", "high")),
        frozenset(("middle", "high")),
    }
    assert all(preferred(row) == "high" and row["reference"] == "r" for row in rows)
    assert all(row["dataset"] == "set" and row["group"] == "r" for row in rows)
    assert read_import_report(table).dropped == {"pairs with scores too close to tell": 1}
    assert read_import_report(table).settings == {"min_standard_errors": 2.0}
    assert len(pair_rated_images("set", "/data", images, 1.0)) == 3


def test_labels_follow_thurstone() -> None:
    (row,) = pair_rated_images("set", "/", [rate("x", 3, 0.3), rate("y", 2, 0.4)], 1.5).to_pylist()
    z = (1 if row["a"] == "x" else -1) / 0.5
    assert math.isclose(row["p_a"], NormalDist().cdf(z), rel_tol=1e-12)


def test_scores_with_zero_error_give_labels_of_0_or_1() -> None:
    (row,) = pair_rated_images("set", "/", [rate("x", 3, 0), rate("y", 2, 0)], 2).to_pylist()
    assert row["p_a"] in (0.0, 1.0) and preferred(row) == "x"
    with pytest.raises(ManifestError, match="all were dropped"):
        pair_rated_images("set", "/", [rate("x", 3, 0), rate("y", 3, 0)], 0)


def test_candidate_order_is_independent_of_scores_and_row_order() -> None:
    images = [rate(f"I01_{i:02}.png", i, 0.1) for i in range(40)]
    rows = pair_rated_images("set", "/", images, 2).to_pylist()
    share = sum(row["p_a"] > 0.5 for row in rows) / len(rows)
    assert len(rows) == 780 and 0.44 < share < 0.56
    # The order of the table does not matter either.
    again = pair_rated_images("set", "/", images[::-1], 2).to_pylist()
    assert {(row["a"], row["b"]) for row in again} == {(row["a"], row["b"]) for row in rows}


def levels(sign: float) -> list[RatedImage]:
    return [
        rate(f"{kind}{level}{r}", sign * level, 0.1, reference=r, kind=kind, level=level)
        for r in "rs"
        for kind in ("blur", "noise", None)
        for level in range(5)
    ]


def test_labels_are_checked_against_levels_of_the_same_kind() -> None:
    (check,) = read_import_report(pair_rated_images("set", "/", levels(-1.0), 2)).direction_checks
    assert (check.rows, check.agreement) == (2 * 2 * 10, 1.0)
    with pytest.raises(ManifestError, match=r"set: only 0\.0% of 40 answers agree"):
        pair_rated_images("set", "/", levels(1.0), 2)


def test_unusable_arguments_are_refused() -> None:
    with pytest.raises(ManifestError, match="x is rated twice"):
        pair_rated_images("set", "/", [rate("x", 1, 1), rate("x", 9, 1)], 2)
    with pytest.raises(ManifestError, match="no comparison in /data: its tables have no rows"):
        pair_rated_images("set", "/data", [], 2)
    for wrong in (-1, math.nan, math.inf):
        with pytest.raises(UsageError, match="min_standard_errors"):
            pair_rated_images("set", "/", [rate("x", 1, 1)], wrong)
