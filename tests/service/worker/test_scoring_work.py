"""Work of the scoring thread."""

import io
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image

from roi_ray.schema import Failure, Scores
from roi_ray.scoring.scorer import Scorer
from roi_ray.service.backend import Provenance
from roi_ray.service.worker.scoring_work import ScorePairs, encode_mask, prepare
from tests.conftest import jpeg, needs_cuda


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer()


def test_scores_are_in_the_order_of_the_pairs_whatever_their_references(scorer, photos) -> None:
    x, y = photos["chelsea"][80:208, 120:280], photos["coffee"][:128, :160]
    a, b = (prepare(scorer, image, None).prepared for image in (x, y))
    pairs = [(a, x // 2), (b, y), (a, x), (b, y // 4)]
    outcomes = ScorePairs(scorer, (128, 160)).run(pairs)
    assert [outcome.psnr == 100 for outcome in outcomes] == [False, True, True, False]
    for outcome, (reference, image) in zip(outcomes, pairs, strict=True):
        assert outcome.to_dict() == pytest.approx(
            scorer.score(reference, [image])[0].to_dict(), rel=1e-5
        )


def test_scores_that_are_not_finite_fail_their_pair(scorer, photos, monkeypatch) -> None:
    x = photos["chelsea"][:64, :80]
    reference = prepare(scorer, x, None).prepared
    score_pairs = scorer.score_pairs

    def break_first(pairs) -> list[Scores]:
        first, *others = score_pairs(pairs)
        return [replace(first, lpips=float("inf")), *others]

    monkeypatch.setattr(scorer, "score_pairs", break_first)
    outcomes = ScorePairs(scorer, (64, 80)).run([(reference, x), (reference, x // 2)])
    assert outcomes[0] == Failure("NonFiniteScore", "lpips not finite")
    assert isinstance(outcomes[1], Scores)


def test_mask_is_encoded_as_its_levels(scorer, photos) -> None:
    x = photos["chelsea"][:100, :120]
    prepared = prepare(scorer, x, None).prepared
    provenance = Provenance(4, {"lpips": "alex"}, {"lpips": [{"name": "x"}]})
    image = Image.open(io.BytesIO(encode_mask(prepared, provenance)))
    assert {name: json.loads(text) for name, text in image.text.items()} == asdict(provenance)
    assert (image.mode, image.size) == ("L", (120, 100))
    expected = (255 * prepared.mask.double()).round().to(torch.uint8)
    assert (np.asarray(image) == expected.numpy()).all()


def test_pair_is_scored_alone_on_a_cpu_whatever_the_batch() -> None:
    scorer = Scorer(batch=32)
    assert scorer.pairs_per_batch((512, 512)) == 32
    assert scorer.pairs_per_batch((1024, 1024)) == 8
    assert scorer.pairs_per_batch((9000, 9000)) == 1
    assert ScorePairs(scorer, (512, 512)).limit == 1


@needs_cuda
def test_batches_on_a_gpu_have_the_scores_of_single_pairs(photos) -> None:
    scorer = Scorer(device="cuda", batch=1)
    x = photos["astronaut"][:256, :256]
    reference = prepare(scorer, x, None).prepared
    pairs = [(reference, jpeg(x, quality)) for quality in (10, 40, 70, 90)]
    assert ScorePairs(scorer, (256, 256)).limit == 4
    outcomes = ScorePairs(scorer, (256, 256)).run(pairs)
    for outcome, pair in zip(outcomes, pairs, strict=True):
        assert outcome.to_dict() == pytest.approx(scorer.score_pairs([pair])[0].to_dict(), rel=1e-4)
