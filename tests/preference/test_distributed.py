from contextlib import nullcontext

import pytest

import roi_ray
from roi_ray.errors import ManifestError, UsageError
from roi_ray.preference import distributed
from roi_ray.preference.comparisons import Comparisons
from roi_ray.preference.distributed import train_model
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
