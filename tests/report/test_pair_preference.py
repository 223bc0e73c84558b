"""The predicted preference between two images, as text."""

import re
from dataclasses import replace

import pytest

import roi_ray
from roi_ray.preference.pair_preference import GroupContribution, format_percent
from roi_ray.report.pair_preference import format_preference
from tests.conftest import encode


@pytest.fixture(scope="module")
def preference(photos):
    photo = photos["chelsea"][:96, :128]
    low, high = (encode(photo, "JPEG", quality=quality) for quality in (50, 80))
    return roi_ray.prefer(photo, low, high)


def with_shares(preference, shares):
    """Return a preference with other groups, whose shares are `shares`."""
    names = ("overall error", "colour", "structure")
    groups = tuple(
        GroupContribution(name, ("psnr",), share, 0.0)
        for name, share in zip(names, shares, strict=True)
    )
    return replace(preference, groups=groups, logit=sum(shares))


def test_winner_groups_sum_and_limits_are_shown(preference):
    text = format_preference(preference, "low.jpg", "high.jpg", 100)
    percent = format_percent(1 - preference.probability)
    lines = text.splitlines()
    assert lines[0] == f"People prefer B to A with a probability of {percent}."
    assert lines[1:3] == ["  A: low.jpg", "  B: high.jpg"]
    for group in preference.groups:
        (line,) = [line for line in lines if line.startswith(f"{group.group} ")]
        assert f"  {group.logit:+.2f}  " in line
    assert re.search(rf"^sum +\{preference.logit:+.2f}$", text, re.MULTILINE)
    assert " ".join(preference.limits.split()) in " ".join(text.split())
    assert "Shares are in logits" in text and "preference-mucped23.safetensors" in text


def test_bars_point_to_the_image_that_a_group_speaks_for(preference):
    text = format_preference(with_shares(preference, (-1.0, 0.5, 0.0)), "a", "b", 80)
    bars = [line.split("  ")[-1].strip() for line in text.splitlines() if "|" in line]
    assert bars == ["############|", "|######", "|"]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_the_terminal(preference, width):
    warned = replace(preference, warnings=("Very far. " * 20,), without_region=True)
    text = format_preference(warned, "a.jpg", "b.jpg", width)
    assert max(map(len, text.splitlines())) <= max(width, 72)


def test_warnings_and_empty_masks_are_told(preference):
    warned = replace(preference, warnings=("It is far.",), without_region=True)
    text = format_preference(warned, "a", "b", 100)
    assert "Caution: It is far.\n" in text
    assert "numbers of the whole image stand in for those under it." in text
    assert "Caution" not in format_preference(replace(preference, warnings=()), "a", "b", 100)


def test_model_that_is_no_sum_says_why_it_has_no_shares(preference):
    opaque = replace(preference, groups=None, contributions=None, unexplained="It is a riddle.")
    text = format_preference(opaque, "a", "b", 100)
    assert "It is a riddle." in text
    assert "|" not in text and "Shares" not in text


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.5, "People prefer neither A nor B: the probability is 50 %."),
        (0.503, "People prefer neither A nor B: the probability is 50 %."),
        (0.73, "People prefer A to B with a probability of 73 %."),
        (0.001, "People prefer B to A with a probability of >99 %."),
        (1.0, "People prefer A to B with a probability of >99 %."),
    ],
)
def test_probability_is_a_whole_percentage_and_never_certain(preference, probability, text):
    changed = replace(preference, probability=probability)
    assert format_preference(changed, "a", "b", 80).startswith(f"{text}\n")


def test_control_characters_in_names_are_escaped(preference):
    assert "\x1b" not in format_preference(preference, "\x1b[31m.jpg", "b", 80)
