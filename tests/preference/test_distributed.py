import numpy as np
import pytest

from roi_ray import schema
from roi_ray.errors import ManifestError
from roi_ray.preference.comparisons import Comparisons
from roi_ray.preference.distributed import train_model
from roi_ray.preference.examples import to_examples
from tests.preference.synthetic import comparisons


def given(**options):
    return Comparisons(comparisons(**options), "synthetic", "/", "0" * 64)


def accuracy(model, examples):
    chosen = examples.only(model.features)
    return ((model.predict(chosen.a, chosen.b) > 0.5) == (examples.p_a > 0.5)).mean()


def test_two_workers_learn_what_one_learns(tmp_path, ray_cluster):
    others = to_examples(comparisons(seed=1), schema.FEATURES, "others")
    found = []
    for workers in (1, 2):
        lines = []
        model = train_model(
            given(),
            ("psnr", "roi_psnr", "roi_lpips"),
            "roi-ray",
            runs=str(tmp_path / str(workers)),
            workers=workers,
            report=lines.append,
        )
        assert lines[-1].startswith("step 80/80  loss 0.")
        assert model.provenance["workers"] == workers
        assert model.provenance["comparisons"] == {"rows": 480, "sha256": "0" * 64}
        found.append(model)
    one, two = (accuracy(model, others) for model in found)
    assert one == pytest.approx(two, abs=0.02)
    assert one > 0.8
    predicted = [
        m.predict(*(x.only(m.features).a for x in (others, others.swapped()))) for m in found
    ]
    assert np.abs(predicted[0] - predicted[1]).mean() < 0.03


def test_what_cannot_be_learned_from_is_said_before_ray_starts(tmp_path):
    table = comparisons().drop_columns(["psnr_a"])
    few = Comparisons(table, "synthetic", "/", "0" * 64)
    with pytest.raises(ManifestError, match="synthetic have no column 'psnr_a'"):
        train_model(few, ("psnr",), "paper", runs=str(tmp_path))
