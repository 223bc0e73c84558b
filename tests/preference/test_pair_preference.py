"""The result of a prediction as values."""

import json
from dataclasses import replace

import pytest

import roi_ray
from roi_ray.preference.pair_preference import PairPreference
from tests.conftest import encode


@pytest.fixture(scope="module")
def preference(photos):
    photo = photos["chelsea"][:96, :128]
    return roi_ray.prefer(photo, *(encode(photo, "JPEG", quality=q) for q in (5, 80)))


def test_values_survive_json(preference):
    assert preference.contributions and preference.groups and preference.warnings
    values = json.loads(json.dumps(preference.to_dict()))
    assert PairPreference.from_dict(values) == preference
    assert PairPreference.from_dict(values).to_dict() == preference.to_dict()


def test_prediction_without_shares_survives_json(preference):
    other = replace(preference, contributions=None, groups=None, unexplained="why", warnings=())
    assert PairPreference.from_dict(json.loads(json.dumps(other.to_dict()))) == other


def test_missing_values_are_errors(preference):
    for name in ("probability", "groups", "scores", "warnings"):
        values = preference.to_dict()
        del values[name]
        with pytest.raises(KeyError, match=name):
            PairPreference.from_dict(values)
    values = preference.to_dict()
    values["scores"]["b"]["psnr"] = None
    with pytest.raises(ValueError, match="the scores have no psnr"):
        PairPreference.from_dict(values)
