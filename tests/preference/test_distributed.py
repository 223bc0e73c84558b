import numpy as np
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons import Comparisons
from roi_ray.preference.distributed import train_model
from roi_ray.preference.examples import to_examples
from roi_ray.preference.networks import RECIPES
from roi_ray.preference.training import train_here
from tests.preference.synthetic import comparisons


def given(**options):
    return Comparisons(comparisons(**options), "synthetic", "/", "0" * 64)


def accuracy(model, examples):
    chosen = examples.only(model.features)
    return ((model.predict(chosen.a, chosen.b) > 0.5) == (examples.p_a > 0.5)).mean()


def test_two_workers_learn_what_one_process_learns(tmp_path, ray_cluster):
    features = ("psnr", "roi_psnr", "roi_lpips")
    lines = []
    two = train_model(
        given(), features, "roi-ray", runs=str(tmp_path), workers=2, report=lines.append
    )
    assert lines[-1].startswith("step 80/80  loss 0.")
    assert two.provenance["workers"] == 2
    assert two.provenance["comparisons"] == {"rows": 480, "sha256": "0" * 64}
    one = train_here(to_examples(comparisons(), features, "synthetic"), RECIPES["roi-ray"])
    others = to_examples(comparisons(seed=1), schema.FEATURES, "others")
    assert accuracy(one, others) == pytest.approx(accuracy(two, others), abs=0.02)
    assert accuracy(two, others) > 0.8
    chosen = others.only(features)
    apart = one.predict(chosen.a, chosen.b) - two.predict(chosen.a, chosen.b)
    assert np.abs(apart).mean() < 0.03


def test_what_cannot_be_learned_from_is_said_before_ray_starts(tmp_path):
    table = comparisons().drop_columns(["psnr_a"])
    few = Comparisons(table, "synthetic", "/", "0" * 64)
    with pytest.raises(ManifestError, match="synthetic have no column 'psnr_a'"):
        train_model(few, ("psnr",), "paper", runs=str(tmp_path))
