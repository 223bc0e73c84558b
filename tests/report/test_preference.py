"""How a report of an evaluation writes intervals that exist, and those that do not."""

import json

import numpy as np

from roi_ray.preference.measures import Interval, PairedDifference
from roi_ray.report.json_values import replace_non_finite
from roi_ray.report.preference import format_difference, format_interval

NONE = (np.nan, np.nan)


def test_missing_interval_is_a_dash() -> None:
    assert format_interval(Interval(0.7283, 0.706, 0.7504)) == "70.6 .. 75.0"
    assert format_interval(Interval(1.0, *NONE)) == "-"


def test_difference_without_an_interval_says_why() -> None:
    several = PairedDifference(Interval(0.0057, 0.0015, 0.0098), 0.009)
    assert format_difference("a - b", several) == "a - b: +0.57 points (+0.15 .. +0.98), p = 0.009"
    certain = PairedDifference(Interval(1.0, 0.64, 1.0), 1e-4)
    assert format_difference("a - b", certain).endswith("p < 0.001")
    few = format_difference("a - b", PairedDifference(Interval(0.5, *NONE), np.nan))
    assert few == "a - b: +50.00 points, no interval and no p with fewer than 6 references"
    equal = format_difference("a - b", PairedDifference(Interval(0.0, *NONE), 1.0))
    assert equal == "a - b: +0.00 points, the same for every answer, so without an interval"


def test_json_has_null_for_what_it_cannot_hold() -> None:
    values = {"a": (np.nan, 1.0), "b": [{"c": np.inf}], "d": "nan"}
    text = json.dumps(replace_non_finite(values), allow_nan=False)
    assert json.loads(text) == {"a": [None, 1.0], "b": [{"c": None}], "d": "nan"}
