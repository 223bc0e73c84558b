from contextlib import nullcontext

import pytest

import roi_ray
from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference.comparisons.table import Comparisons
from roi_ray.preference.model.networks import build
from roi_ray.preference.model.recipes import MlpRecipe, find_recipe
from roi_ray.preference.training import distributed
from roi_ray.preference.training.distributed import train_model
from tests.preference.synthetic import comparisons


def test_missing_features_are_refused_before_ray_starts(tmp_path):
    table = comparisons().drop_columns(["psnr_a"])
    few = Comparisons(table, "synthetic", "/", "0" * 64)
    with pytest.raises(ManifestError, match="psnr, which the comparisons synthetic do not"):
        train_model(few, ("psnr",), "paper", runs=str(tmp_path))


def test_run_name_depends_on_the_training_version_and_not_on_the_release(tmp_path, monkeypatch):
    answers = Comparisons(comparisons(), "synthetic", "/", "0" * 64)
    names = []

    def fit(make_training, *, name, **options):
        names.append(name)
        raise UsageError("stop before training")

    def run():
        with pytest.raises(UsageError, match="stop before training"):
            train_model(answers, ("psnr",), "paper", runs=str(tmp_path), workers=1, epochs=1)

    monkeypatch.setattr(distributed, "connect", lambda **options: nullcontext())
    monkeypatch.setattr(distributed, "fit", fit)
    run()
    monkeypatch.setattr(roi_ray, "__version__", "99.0.0")
    run()
    monkeypatch.setattr(distributed, "TRAINING_VERSION", -1)
    run()
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("preference-")


def test_chosen_epochs_are_reported_and_recorded_with_the_model(tmp_path, monkeypatch):
    answers = Comparisons(comparisons(references=4, each=10), "synthetic", "/", "0" * 64)
    untrained = build(find_recipe("paper"), 1).state_dict()
    monkeypatch.setattr(distributed, "connect", lambda **options: nullcontext())
    monkeypatch.setattr(distributed, "fit", lambda make, **options: {"network": untrained})
    lines = []

    def train(epochs=None):
        options = {"runs": str(tmp_path), "workers": 1, "epochs": epochs, "report": lines.append}
        return train_model(answers, ("psnr",), "paper", **options)

    model = train()
    chosen = model.provenance["early_stopping"]
    assert (chosen["held_out"], chosen["references"]) == (1, 4)
    assert model.recipe == MlpRecipe(("psnr",), epochs=chosen["epochs"], early_stopping=False)
    assert f"early stopping: {chosen['epochs']} epochs, at the lowest log-loss" in lines[1]
    lines.clear()
    assert train(epochs=7).recipe.epochs == 7
    assert not any("early stopping" in line for line in lines)
