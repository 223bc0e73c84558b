import math
from statistics import NormalDist

import pytest

from roi_ray.datasets.import_report import read_import_report
from roi_ray.datasets.mos import RatedImage, pair_rated_images
from roi_ray.errors import ManifestError


def rated(
    name: str, score: float, error: float, reference: str = "r", **level: object
) -> RatedImage:
    return RatedImage(reference, name, score, error, **level)


def better(row: dict[str, object]) -> object:
    return row["a"] if row["p_a"] > 0.5 else row["b"]


def test_pairs_of_one_reference_that_differ_enough() -> None:
    images = [
        rated("low", 1.0, 0.3),
        rated("middle", 1.9, 0.4),  # 1.8 combined standard errors above low
        rated("high", 4.0, 0.4),
        rated("other", 9.0, 0.1, reference="s"),
    ]
    table = pair_rated_images("set", "/data", images, 2.0)
    rows = table.to_pylist()
    assert {frozenset((row["a"], row["b"])) for row in rows} == {
        frozenset(("low", "high")),
        frozenset(("middle", "high")),
    }
    assert all(better(row) == "high" and row["reference"] == "r" for row in rows)
    assert all(row["dataset"] == "set" and row["group"] == "r" for row in rows)
    assert read_import_report(table).dropped == {"pairs with scores too close to tell": 1}
    assert read_import_report(table).settings == {"min_standard_errors": 2.0}
    assert len(pair_rated_images("set", "/data", images, 1.0)) == 3


def test_labels_are_thurstone_s() -> None:
    (row,) = pair_rated_images(
        "set", "/", [rated("x", 3, 0.3), rated("y", 2, 0.4)], 1.5
    ).to_pylist()
    z = (1 if row["a"] == "x" else -1) / 0.5
    assert math.isclose(row["p_a"], NormalDist().cdf(z), rel_tol=1e-12)


def test_scores_without_error_differ_for_certain() -> None:
    (row,) = pair_rated_images("set", "/", [rated("x", 3, 0), rated("y", 2, 0)], 2).to_pylist()
    assert row["p_a"] in (0.0, 1.0) and better(row) == "x"
    with pytest.raises(ManifestError, match="all were dropped"):
        pair_rated_images("set", "/", [rated("x", 3, 0), rated("y", 3, 0)], 0)


def test_the_order_does_not_give_the_answer_away() -> None:
    images = [rated(f"I01_{i:02}.png", i, 0.1) for i in range(40)]
    rows = pair_rated_images("set", "/", images, 2).to_pylist()
    share = sum(row["p_a"] > 0.5 for row in rows) / len(rows)
    assert len(rows) == 780 and 0.44 < share < 0.56
    # Whatever order the table has.
    again = pair_rated_images("set", "/", images[::-1], 2).to_pylist()
    assert {(row["a"], row["b"]) for row in again} == {(row["a"], row["b"]) for row in rows}


def levels(sign: float) -> list[RatedImage]:
    return [
        rated(f"{kind}{level}{r}", sign * level, 0.1, reference=r, kind=kind, level=level)
        for r in "rs"
        for kind in ("blur", "noise", None)
        for level in range(5)
    ]


def test_levels_of_one_kind_are_what_scores_are_held_against() -> None:
    (polarity,) = read_import_report(
        pair_rated_images("set", "/", levels(-1.0), 2)
    ).direction_checks
    assert (polarity.rows, polarity.agreement) == (2 * 2 * 10, 1.0)
    with pytest.raises(ManifestError, match=r"set: only 0\.0% of 40 answers agree"):
        pair_rated_images("set", "/", levels(1.0), 2)


def test_unusable() -> None:
    with pytest.raises(ManifestError, match="x is rated twice"):
        pair_rated_images("set", "/", [rated("x", 1, 1), rated("x", 9, 1)], 2)
    with pytest.raises(ManifestError, match="no comparison in /data: its tables have no rows"):
        pair_rated_images("set", "/data", [], 2)
    for wrong in (-1, math.nan, math.inf):
        with pytest.raises(ManifestError, match="min_standard_errors"):
            pair_rated_images("set", "/", [rated("x", 1, 1)], wrong)
