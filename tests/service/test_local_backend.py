"""Answers of a backend in one process, against `roi_ray.score` and `roi_ray.prefer`."""

import asyncio

import numpy as np
import pytest

import roi_ray
from roi_ray.schema import Failure
from roi_ray.service.backend import ScoreAnswer
from roi_ray.service.local_backend import LocalBackend
from tests.conftest import Photos, deepen, encode, encode_16_bits
from tests.service.files import make_file, open_backend


@pytest.fixture(scope="module")
def backend() -> LocalBackend:
    with open_backend() as backend:
        yield backend


def make_case(photos: Photos, case: str) -> tuple[bytes, list[bytes], bytes | None]:
    """Return the files of a reference, of distorted images, and of a mask."""
    photo = photos["chelsea"]
    if case == "formats":
        x = photo[:200, :300]
        return encode(x), [encode(x, "JPEG", quality=40), encode(x, "WEBP", quality=30)], None
    if case == "mask":
        x = photo[50:200, 60:300]
        mask = np.zeros(x.shape[:2], np.uint8)
        mask[30:90, 40:160] = 255
        return encode(x), [encode(x, "JPEG", quality=20), encode(x // 8 * 8)], encode(mask)
    if case == "bit depths":
        x = photo[:120, :150]
        deep = encode_16_bits(np.asarray(deepen(x, 16)))
        return deep, [encode(x), deep, encode(x, "AVIF", quality=50)], None
    assert case == "small"
    x = photo[100:164, 100:140]
    return encode(x), [encode(x, "JPEG", quality=quality) for quality in (5, 50)], None


CASES = ("formats", "mask", "bit depths", "small")


def test_concurrent_requests_have_the_scores_of_score_bit_for_bit(photos, backend) -> None:
    cases = [make_case(photos, case) for case in CASES]

    async def send() -> list[ScoreAnswer | Failure]:
        return await asyncio.gather(
            *(
                backend.score(
                    make_file(reference), [make_file(d) for d in data], mask and make_file(mask)
                )
                for reference, data, mask in cases * 2
            )
        )

    answers = asyncio.run(send())
    for (reference, data, mask), answer in zip(cases * 2, answers, strict=True):
        expected = [roi_ray.score(reference, d, mask=mask, device="cpu") for d in data]
        assert list(answer.outcomes) == expected
