from dataclasses import replace

import numpy as np
import pytest

from roi_ray.preference.comparisons.examples import Examples
from roi_ray.preference.model.leakage import sample_hashes, share_trained_on


def random_examples(rng, rows):
    a, b = rng.random((2, rows, 3))
    group = np.arange(rows) % 7
    p_a = rng.integers(0, 2, rows).astype(float)
    return Examples(("psnr", "lpips", "mse"), a, b, p_a, np.ones(rows), group)


@pytest.mark.parametrize("rows", [100, 5000])
def test_share_trained_on_is_estimated_from_a_sample(rng, rows):
    examples = random_examples(rng, rows)
    provenance = {"comparisons": {"sample": sample_hashes(examples)}}
    assert len(provenance["comparisons"]["sample"]) == min(rows, 256)
    assert share_trained_on(examples.take(rng.permutation(rows)), provenance) == 1
    assert share_trained_on(examples.take(np.arange(30)), provenance) in (0, 1)
    assert share_trained_on(random_examples(rng, rows), provenance) == 0
    half = {"comparisons": {"sample": sample_hashes(examples.take(np.arange(rows // 2)))}}
    assert share_trained_on(examples, half) == pytest.approx(0.5, abs=0.1)
    assert share_trained_on(examples, {}) == 0


@pytest.mark.parametrize("scale", [1e-5, 1.0, 100.0])
def test_answers_that_differ_in_small_numbers_are_told_apart(rng, scale):
    examples, others = (random_examples(rng, 500).only(["mse"]) for _ in range(2))
    examples, others = (replace(e, a=scale * e.a, b=scale * e.b) for e in (examples, others))
    provenance = {"comparisons": {"sample": sample_hashes(examples)}}
    assert share_trained_on(examples, provenance) == 1
    assert share_trained_on(others, provenance) < 0.05
    machine = replace(examples, a=examples.a * (1 + 1e-9), b=examples.b * (1 - 1e-9))
    assert share_trained_on(machine, provenance) > 0.95


@pytest.mark.parametrize("rows", [100, 5000])
def test_swapped_answers_are_recognised(rng, rows):
    examples = random_examples(rng, rows)
    provenance = {"comparisons": {"sample": sample_hashes(examples)}}
    assert share_trained_on(examples.swapped(), provenance) == 1
