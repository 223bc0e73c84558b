"""Predicted preferences between the codecs of a sweep."""

from dataclasses import replace

import numpy as np
import pytest

from roi_ray.decision.decide import decide
from roi_ray.decision.preferences.predict import Preference, predict_preferences
from roi_ray.decision.preferences.predictions import interpolate_features
from roi_ray.errors import WeightsError
from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.preference.statistics.intervals import MIN_REFERENCES
from tests.decision.model_sweeps import feature_row, sweep_rows, to_scores

_FEATURES = load_preference_model().features
_SSIMULACRA2 = [name for name in _FEATURES if "ssimulacra2" in name]
_UNDER_MASK = next(name for name in _FEATURES if name.startswith("roi_"))


def share(preference: Preference, a: str, b: str) -> float:
    """Return the predicted share, and check that all forms of it agree."""
    rates = preference.win_rates
    found = preference.shares[a, b].value
    index = rates.names.index(a), rates.names.index(b)
    assert found == pytest.approx(rates.share[index], abs=1e-12)
    assert preference.shares[b, a].value == pytest.approx(1 - found)
    return found


def test_two_codecs_with_the_same_cells_are_even(tmp_path) -> None:
    preference = predict_preferences(to_scores(sweep_rows({"a": 1, "b": 1}), tmp_path))
    assert preference.missing is None and preference.images == 8
    assert share(preference, "a", "b") == 0.5
    interval = preference.shares["a", "b"]
    assert interval.low < 0.5 < interval.high
    assert [rank.score for rank in preference.ranks] == pytest.approx([0, 0], abs=1e-9)


def test_codec_that_is_better_at_every_rate_is_preferred_in_all_bands(tmp_path) -> None:
    rows = sweep_rows({"good": 4, "middle": 1, "bad": 0.25})
    preference = predict_preferences(to_scores(rows, tmp_path))
    assert share(preference, "good", "bad") > 0.97
    assert share(preference, "good", "middle") > 0.8
    assert [rank.name for rank in preference.ranks] == ["good", "middle", "bad"]
    assert [(band.lower, band.upper) for band in preference.bands] == [
        (0.25, 0.5),
        (0.5, 1),
        (1, 2),
    ]
    for band in preference.bands:
        assert [rank.name for rank in band.ranks] == ["good", "middle", "bad"]
        assert all(rank.bit_rate_ratio == pytest.approx(1) for rank in band.ranks)


def test_prediction_is_that_of_the_model_for_the_cells_at_this_rate(tmp_path) -> None:
    """Bit rates of the cells are those of the grid, so that nothing is interpolated."""
    grid = [2**-0.75, 2**-0.25, 2**0.25]
    rows = [
        feature_row("x.png", codec, rate, worth)
        for codec, worth in (("a", 1.3), ("b", 1))
        for rate in grid
    ]
    preference = predict_preferences(to_scores(rows, tmp_path))
    model = load_preference_model()
    a, b = ([[row[f] for f in model.features] for row in part] for part in (rows[:3], rows[3:]))
    assert share(preference, "a", "b") == pytest.approx(model.predict(a, b).mean(), abs=1e-6)
    assert preference.shares["a", "b"].low is None


def test_squared_errors_agree_with_psnr_between_points() -> None:
    rates = np.array([[0.25, 0.5, 1.2, 2.0]])
    psnr = np.array([[30.0, 33.5, 39.0, 41.0]])
    features = ("psnr", "mse", "roi_mse_cb", "lpips")
    mse = 10 ** (-psnr / 10)
    values = np.stack([psnr, mse, mse / 50, mse], -1)
    values[0, 0, 2] = 0.0
    given = values.copy()
    at = np.array([0.1, 0.7, 1.7])
    found = interpolate_features(rates, values, features, at)
    assert np.isnan(found[0, 0]).all()
    between = found[0, 1:]
    assert between[:, 1] == pytest.approx(10 ** (-between[:, 0] / 10), rel=1e-9)
    assert between[1, 2] == pytest.approx(between[1, 1] / 50, rel=1e-9)
    assert (between[:, 2] > 0).all()
    assert not np.isclose(between[:, 3], between[:, 1], rtol=1e-3).any()
    assert np.array_equal(values, given)


def test_real_cells_are_taken_where_the_sweep_was_matched_by_bit_rate(tmp_path) -> None:
    rows = [
        feature_row("x.png", codec, rate, worth, target_metric="bpp", target=target)
        for codec, worth, off in (("a", 1.5, 1.0), ("b", 1, 1.03))
        for target in (0.5, 2.0)
        for rate in (target * off,)
    ]
    preference = predict_preferences(to_scores(rows, tmp_path))
    model = load_preference_model()
    a, b = ([[row[f] for f in model.features] for row in part] for part in (rows[:2], rows[2:]))
    assert share(preference, "a", "b") == pytest.approx(model.predict(a, b).mean(), abs=1e-9)
    assert any("bit rates differ by 3.0 % at most" in note for note in preference.notes)
    # The cells of the second codec have 0.515 and 2.06 bpp: bands are those of what was asked for.
    assert [band.lower for band in preference.bands] == [0.5, 2.0]
    assert not any("interpolated" in note for note in preference.notes)


def test_notes_say_what_the_model_is_and_what_was_left_out(tmp_path) -> None:
    rows = sweep_rows({"a": 1, "b": 1.1})
    rows += [feature_row("0.png", "two points", rate, quality=1 + rate) for rate in (0.5, 1)]
    preference = predict_preferences(to_scores(rows, tmp_path))
    notes = " ".join(preference.notes)
    for text in (
        "not answers of people",
        "10,173 answers about the JPEG encoders",
        "It has not seen other codecs",
        "interpolated",
        "Without a prediction: two points.",
        "which weights and settings",
    ):
        assert text in notes


def test_images_without_region_take_the_whole_image(tmp_path) -> None:
    rows = sweep_rows({"a": 1.5, "b": 1})
    changed = [
        {**row, "roi_fraction": 0.0, **dict.fromkeys([k for k in row if k[:4] == "roi_"])}
        if row["reference"] == "0.png"
        else row
        for row in rows
    ]
    for row in changed:
        row["roi_fraction"] = row["roi_fraction"] or 0.0
    preference = predict_preferences(to_scores(changed, tmp_path))
    assert preference.images == 8
    assert any(note.startswith("1 of 8 images have no region") for note in preference.notes)
    basic = [
        {**row, **{k: row[k[4:]] for k in row if k[:4] == "roi_" and k != "roi_fraction"}}
        if row["reference"] == "0.png"
        else row
        for row in rows
    ]
    expected = predict_preferences(to_scores(basic, tmp_path))
    assert share(preference, "a", "b") == pytest.approx(share(expected, "a", "b"), abs=1e-12)


def test_scores_without_any_region_need_no_columns_under_the_mask(tmp_path) -> None:
    kept = ("roi_fraction", "reference", "distorted", "codec", "quality", "bpp")
    rows = [
        {k: v for k, v in row.items() if k in kept or k[:4] != "roi_"} | {"roi_fraction": 0.0}
        for row in sweep_rows({"a": 1.5, "b": 1})
    ]
    preference = predict_preferences(to_scores(rows, tmp_path))
    assert preference.missing is None
    assert share(preference, "a", "b") > 0.6


def test_null_under_a_mask_that_is_not_empty_is_a_missing_number(tmp_path) -> None:
    rows = sweep_rows({"a": 1, "b": 1})
    for row in rows:
        if row["reference"] == "0.png":
            row[_UNDER_MASK] = None
    assert predict_preferences(to_scores(rows, tmp_path)).images == 7


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (sweep_rows({"a": 1}), "There is one codec only"),
        (
            sweep_rows({"a": 1}, bpp=[0.1, 0.2, 0.3]) + sweep_rows({"b": 1}, bpp=[1, 2, 3]),
            "No two codecs have a bit rate in common",
        ),
        (
            [
                {k: v for k, v in row.items() if k != _UNDER_MASK}
                for row in sweep_rows({"a": 1, "b": 1})
            ],
            f"The preference model needs {_UNDER_MASK}, which the scores do not have: make them "
            "again, with `roi-ray score` and a new --output.",
        ),
        (
            [
                {k: v for k, v in row.items() if "ssimulacra2" not in k}
                for row in sweep_rows({"a": 1, "b": 1})
            ],
            "The preference model needs " + ", ".join(_SSIMULACRA2) + ", which the scores do not "
            "have: make them again, with `roi-ray score --metrics ssimulacra2` and a new --output.",
        ),
    ],
)
def test_scores_that_cannot_be_compared_have_a_reason(rows, reason, tmp_path) -> None:
    preference = predict_preferences(to_scores(rows, tmp_path))
    assert preference.missing.startswith(reason)
    assert not preference.ranks and preference.win_rates is None and not preference.shares


def test_scores_of_another_precision_have_a_reason(tmp_path) -> None:
    scores = to_scores(sweep_rows({"a": 1, "b": 1}), tmp_path)
    model = load_preference_model()
    version, _, _, *weights = model.provenance["scored_with"].split()
    networks = {}
    for part in weights:
        network, files = part.split("=")
        named = [file.rsplit(":", 1) for file in files.split("+")]
        networks[network] = [{"name": name, "sha256": digest} for name, digest in named]
    config = {"roi_weighting": "mean", "precision": "fp32", "weights": networks}
    scores.run = {"scoring_version": int(version.split("=")[1]), "config": config}
    assert predict_preferences(scores, model=model).missing is None
    scores.run["config"] = {**config, "precision": "bf16"}
    missing = predict_preferences(scores, model=model).missing
    assert "precision is bf16 here and fp32 there" in missing
    assert missing.count("\n") == 0 and "weights" not in missing.split(":")[1]


def test_no_model_and_a_missing_model(tmp_path) -> None:
    scores = to_scores(sweep_rows({"a": 1, "b": 1}), tmp_path)
    for off in (None, "none"):
        assert (
            predict_preferences(scores, model=off).missing == "No preference model was asked for."
        )
    with pytest.raises(WeightsError):
        predict_preferences(scores, model=str(tmp_path / "lost.safetensors"))


def test_model_of_a_user_is_described_by_its_training(tmp_path) -> None:
    scores = to_scores(sweep_rows({"a": 1, "b": 1}), tmp_path)
    model = replace(load_preference_model(), identity={"name": "mine.safetensors"})
    notes = predict_preferences(scores, model=model).notes
    assert "mine.safetensors" in notes[0]
    assert notes[1].startswith("It was trained on 10,173 comparisons of 36 originals.")


def test_large_sweeps_are_sampled_with_a_seed(tmp_path) -> None:
    scores = to_scores(sweep_rows({"a": 2, "b": 1}, images=40), tmp_path)
    limit = 14 * 10
    first, again, other = (
        predict_preferences(scores, seed=seed, max_comparisons=limit) for seed in (0, 0, 1)
    )
    assert first.images == 10
    assert any(note.startswith("10 of 40 images") for note in first.notes)
    assert first.ranks == again.ranks and first.ranks != other.ranks
    everything = predict_preferences(scores)
    assert everything.images == 40
    assert share(first, "a", "b") == pytest.approx(share(everything, "a", "b"), abs=0.02)


def test_few_images_have_no_interval(tmp_path) -> None:
    rows = sweep_rows({"a": 2, "b": 1}, images=MIN_REFERENCES - 1)
    preference = predict_preferences(to_scores(rows, tmp_path))
    assert preference.shares["a", "b"].low is None
    assert np.isnan(preference.ranks[0].low)


def test_decision_has_the_preference_between_its_codecs(tmp_path) -> None:
    scores = to_scores(sweep_rows({"a": 1, "b": 2, "c": 4}), tmp_path)
    decision = decide(scores, anchor="b", codecs=["a"])
    assert decision.preference.win_rates.names == ["a", "b"]
    off = decide(scores, model="none").preference
    assert off.missing == "No preference model was asked for."
