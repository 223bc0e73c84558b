"""The cells of a sweep that are worth looking at."""

from collections import Counter

import numpy as np
import pytest

from roi_ray.decision.highlights.choose import KINDS, choose_highlights
from roi_ray.decision.highlights.worst_cells import find_worst_cells
from roi_ray.decision.preferences.predict import predict_preferences
from tests.decision.model_sweeps import feature_row, sweep_rows, to_scores

METRICS = ("ms_ssim", "psnr", "lpips")


def jitter(rows, rng) -> list[dict]:
    """Make the cells of images differ a little, so that medians and ranks have something to say."""
    for row in rows:
        row["psnr"] += rng.normal(0, 0.2)
        row["ms_ssim"] -= abs(rng.normal(0, 1e-3))
    return rows


def change(rows, image: str, codec: str, quality: int, **values) -> int:
    """Change one cell, and return its number."""
    (number,) = [
        n
        for n, row in enumerate(rows)
        if (row["reference"], row["codec"], row["quality"]) == (image, codec, quality)
    ]
    rows[number].update(values)
    return number


def by_kind(highlights) -> dict[str, list]:
    return {kind: [each for each in highlights if each.kind == kind] for kind in KINDS}


def test_cell_on_which_a_metric_is_against_the_model_comes_first(rng, tmp_path) -> None:
    rows = jitter(sweep_rows({"good": 2, "bad": 1}, images=12), rng)
    a = change(rows, "5.png", "bad", 20, lpips=0.01)
    b = change(rows, "5.png", "good", 20, lpips=0.2)
    scores = to_scores(rows, tmp_path)
    preference = predict_preferences(scores)
    first = by_kind(choose_highlights(scores, preference, METRICS))["disagreement"][0]
    assert first.image == "5.png" and first.rows == (a, b)
    share = preference.model.predict(
        *([[rows[n][name] for name in preference.model.features]] for n in (b, a))
    )[0]
    assert 0.6 < share < 0.99
    assert first.text == (
        "at 1.10 bpp lpips prefers bad (0.0100 against 0.200), the preference model predicts that "
        f"{100 * share:.0f} % of people prefer good"
    )


def test_without_a_model_two_metrics_disagree(rng, tmp_path) -> None:
    rows = jitter(sweep_rows({"good": 2, "bad": 1}, images=12), rng)
    change(rows, "7.png", "bad", 10, lpips=0.061, ms_ssim=0.9)
    change(rows, "7.png", "good", 10, lpips=0.283, ms_ssim=0.95)
    scores = to_scores(rows, tmp_path)
    for preference in (None, predict_preferences(scores, model=None)):
        first = by_kind(choose_highlights(scores, preference, METRICS))["disagreement"][0]
        assert first.image == "7.png"
        assert first.text == (
            "at 0.57 bpp ms_ssim prefers good (0.950 against 0.900), lpips prefers bad "
            "(0.0610 against 0.283)"
        )


def test_largest_difference_is_that_of_the_first_metric(rng, tmp_path) -> None:
    rows = jitter(sweep_rows({"a": 1.2, "b": 1.1, "c": 1}, images=12), rng)
    worst = change(rows, "3.png", "c", 20, ms_ssim=0.8, psnr=20.0, lpips=0.9)
    scores = to_scores(rows, tmp_path)
    first = by_kind(choose_highlights(scores, None, METRICS))["difference"][0]
    assert worst in first.rows and first.image == "3.png"
    assert "ms_ssim prefers " in first.text and "against 0.800)" in first.text


def test_cells_are_compared_at_nearly_equal_bit_rate_only(tmp_path) -> None:
    rows = sweep_rows({"a": 1}) + [
        feature_row(f"{i}.png", "b", 1.2 * rate * (1 + 0.02 * i), quality=10 * k)
        for i in range(8)
        for k, rate in enumerate((0.25, 0.5, 1, 2))
    ]
    assert choose_highlights(to_scores(rows, tmp_path), None, METRICS) == []


def test_both_bit_rates_are_told_where_they_differ(tmp_path) -> None:
    rows = [feature_row("x.png", "a", rate, quality=1 + rate) for rate in (0.5, 1, 2)]
    rows += [feature_row("x.png", "b", 1.08 * rate, 3, quality=1 + rate) for rate in (0.5, 1, 2)]
    (highlight,) = choose_highlights(to_scores(rows, tmp_path), None, METRICS)
    assert highlight.kind == "difference"
    assert highlight.text.startswith("at 0.50 bpp (a) and 0.54 bpp (b) ms_ssim prefers b (0.98")


def test_cell_that_is_unusually_bad_for_its_codec(rng, tmp_path) -> None:
    rows = jitter(sweep_rows({"a": 1, "b": 1}, images=12), rng)
    row = change(rows, "4.png", "b", 20, ms_ssim=0.9)
    scores = to_scores(rows, tmp_path)
    worst = by_kind(choose_highlights(scores, None, METRICS))["worst"][0]
    assert worst.image == "4.png" and worst.rows == (row,)
    values = scores.values("b", "ms_ssim")[:, 2]
    deviations = np.abs(values - np.median(values))
    z = (np.median(values) - 0.9) / (1.4826 * np.median(deviations))
    assert worst.text == (
        f"ms_ssim of b at quality=20 is 0.900 here, against a median of {np.median(values):#.3g} "
        f"over all images ({z:.1f} robust standard deviations worse)"
    )


def test_worst_is_high_for_a_metric_of_which_lower_is_better(rng, tmp_path) -> None:
    rows = jitter(sweep_rows({"a": 1}, images=12), rng)
    for row in rows:
        row["lpips"] *= rng.uniform(0.9, 1.1)
    change(rows, "4.png", "a", 0, lpips=5)
    change(rows, "5.png", "a", 0, lpips=1e-5)
    found = list(find_worst_cells(to_scores(rows, tmp_path), ["a"], ["lpips"]))
    worst = max(found, key=lambda cell: cell.z)
    assert worst.image == "4.png" and worst.value == 5
    assert "5.png" not in [cell.image for cell in found]


@pytest.mark.parametrize("target", ["ms_ssim", "bpp"])
def test_points_made_for_the_metric_have_no_worst_cells(target, rng, tmp_path) -> None:
    rows = jitter(sweep_rows({"a": 1}, images=12), rng)
    for row in rows:
        row.update(target_metric=target, target=float(row["quality"]))
    change(rows, "4.png", "a", 20, ms_ssim=0.5)
    found = list(find_worst_cells(to_scores(rows, tmp_path), ["a"], ["ms_ssim"]))
    assert bool(found) == (target == "bpp")


def test_highlights_are_spread_and_never_repeat_an_image_and_pair(rng, tmp_path) -> None:
    codecs = {"a": 1, "b": 1.3, "c": 1.7, "d": 2.2}
    rows = jitter(sweep_rows(codecs, images=12), rng)
    for row in rows:
        row["lpips"] *= np.exp(rng.normal(0, 1))
        if row["reference"] == "3.png":
            row["psnr"], row["ms_ssim"] = row["psnr"] * rng.uniform(0.5, 1), rng.uniform(0.2, 1)
    scores = to_scores(rows, tmp_path)
    highlights = choose_highlights(scores, predict_preferences(scores), METRICS, limit=12)
    assert len(highlights) == 12
    assert [KINDS.index(each.kind) for each in highlights] == sorted(
        KINDS.index(each.kind) for each in highlights
    )
    pairs = [(each.image, tuple(rows[n]["codec"] for n in each.rows)) for each in highlights]
    assert len(set(pairs)) == 12
    assert max(Counter(image for image, _ in pairs).values()) <= 3
    assert len({codec for _, names in pairs for codec in names}) == 4
    for each in highlights:
        assert {rows[n]["reference"] for n in each.rows} == {each.image}
        assert len(each.rows) == (1 if each.kind == "worst" else 2)
    assert len(choose_highlights(scores, None, METRICS, limit=4)) == 4


def test_one_codec_has_no_pairs(rng, tmp_path) -> None:
    rows = jitter(sweep_rows({"a": 1}, images=12), rng)
    change(rows, "4.png", "a", 20, ms_ssim=0.5)
    highlights = choose_highlights(to_scores(rows, tmp_path), None, METRICS)
    assert {each.kind for each in highlights} == {"worst"}
    assert choose_highlights(to_scores(rows, tmp_path), None, ()) == []


def test_images_without_region_are_compared_by_the_other_metrics(rng, tmp_path) -> None:
    rows = jitter(sweep_rows({"a": 1, "b": 2}, images=8), rng)
    for row in rows:
        row["roi_fraction"] = 0.0
        row.update(dict.fromkeys(name for name in row if name[:4] == "roi_"))
        row["roi_fraction"] = 0.0
    scores = to_scores(rows, tmp_path)
    highlights = choose_highlights(scores, predict_preferences(scores), ("ms_ssim", "roi_psnr"))
    assert by_kind(highlights)["difference"]
    assert not any("roi_psnr" in each.text for each in highlights)


def test_images_are_sampled_where_there_are_many(rng, tmp_path) -> None:
    scores = to_scores(jitter(sweep_rows({"a": 1, "b": 2}, images=30), rng), tmp_path)
    few = choose_highlights(scores, None, METRICS, max_pairs=3)
    assert len({each.image for each in few if each.kind == "difference"}) == 3
    assert few == choose_highlights(scores, None, METRICS, max_pairs=3)
    many = choose_highlights(scores, None, METRICS)
    assert len({each.image for each in many if each.kind == "difference"}) > 3
