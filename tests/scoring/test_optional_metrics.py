"""Metrics that are measured on request, through the scorer."""

import numpy as np
import pytest
import torch

from roi_ray.metrics import ssimulacra2
from roi_ray.scoring.scorer import Scorer
from roi_ray.settings import Settings
from tests.conftest import Photos, deepen, jpeg, to_tensor

SETTINGS = Settings(metrics=("ssimulacra2",))


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(SETTINGS)


@pytest.mark.parametrize("weighting", ["mean", "normalised"])
def test_scorer_gives_the_numbers_of_the_function(photos: Photos, weighting) -> None:
    scorer = Scorer(Settings(metrics=("ssimulacra2",), roi_weighting=weighting))
    x = photos["coffee"][:120, :150]
    images = [jpeg(x, quality) for quality in (10, 90)]
    mask = np.zeros(x.shape[:2], np.uint8)
    mask[80:, :60] = 255
    mask[:20] = 51
    scores = scorer.score(scorer.prepare(x, mask), images)
    expected = ssimulacra2(to_tensor(x), torch.stack([to_tensor(y) for y in images]))
    assert [each.ssimulacra2 for each in scores] == expected.tolist()
    expected = ssimulacra2(
        to_tensor(x),
        torch.stack([to_tensor(y) for y in images]),
        torch.from_numpy(mask),
        weighting,
    )
    numbers = [each.roi_ssimulacra2 for each in scores]
    assert numbers == pytest.approx(expected.tolist(), abs=1e-9)
    assert numbers[0] < numbers[1]


def test_references_of_a_batch_are_scored_as_alone(photos: Photos, scorer) -> None:
    crops = [photos[name][:64, :80] for name in ("chelsea", "coffee")]
    references = scorer.prepare_all(crops, [None, None])
    decoded = [jpeg(x, 40) for x in crops]
    together = Scorer(SETTINGS, batch=8).score_pairs(list(zip(references, decoded, strict=True)))
    for reference, y, scores in zip(references, decoded, together, strict=True):
        (alone,) = scorer.score(reference, [y])
        assert scores.ssimulacra2 == alone.ssimulacra2
        assert scores.roi_ssimulacra2 == pytest.approx(alone.roi_ssimulacra2, abs=1e-9)


def test_images_of_more_bits_are_scored(photos: Photos, scorer) -> None:
    x = photos["chelsea"][:128, :128]
    deep = deepen(x, 16)
    same, near = scorer.score(scorer.prepare(deep), [deep, x])
    assert same.ssimulacra2 == 100
    assert 90 < near.ssimulacra2 < 100


@pytest.mark.parametrize("side", [11, 16])
def test_tiny_images_are_scored(photos: Photos, scorer, side) -> None:
    x = photos["chelsea"][:side, :side]
    mask = np.full((side, side), 255, np.uint8)
    same, other = scorer.score(scorer.prepare(x, mask), [x, jpeg(x, 5)])
    assert (same.ssimulacra2, same.roi_ssimulacra2) == (100, 100)
    assert other.ssimulacra2 < 100
