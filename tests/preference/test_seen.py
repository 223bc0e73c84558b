import numpy as np
import pytest

from roi_ray.preference.examples import Examples
from roi_ray.preference.seen import sample, share_trained_on


def made(rng, rows):
    a, b = rng.random((2, rows, 3))
    group = np.arange(rows) % 7
    p_a = rng.integers(0, 2, rows).astype(float)
    return Examples(("psnr", "lpips", "mse"), a, b, p_a, np.ones(rows), group)


@pytest.mark.parametrize("rows", [100, 5000])
def test_a_sample_tells_how_much_was_seen(rng, rows):
    examples = made(rng, rows)
    provenance = {"comparisons": {"sample": sample(examples)}}
    assert len(provenance["comparisons"]["sample"]) == min(rows, 256)
    assert share_trained_on(examples.take(rng.permutation(rows)), provenance) == 1
    assert share_trained_on(examples.take(np.arange(30)), provenance) in (0, 1)
    assert share_trained_on(made(rng, rows), provenance) == 0
    half = {"comparisons": {"sample": sample(examples.take(np.arange(rows // 2)))}}
    assert share_trained_on(examples, half) == pytest.approx(0.5, abs=0.1)
    assert share_trained_on(examples, {}) == 0


@pytest.mark.parametrize("rows", [100, 5000])
def test_answers_that_are_turned_round_are_known(rng, rows):
    examples = made(rng, rows)
    provenance = {"comparisons": {"sample": sample(examples)}}
    assert share_trained_on(examples.swapped(), provenance) == 1
