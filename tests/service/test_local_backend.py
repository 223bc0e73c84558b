"""Answers of a backend in one process, against `roi_ray.score` and `roi_ray.prefer`."""

import asyncio
import io
import weakref
from collections.abc import Coroutine
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import roi_ray
from roi_ray.preference.model.needs import add_needs
from roi_ray.preference.model.preference_model import load_preference_model
from roi_ray.runtime.available import exclusive_memory
from roi_ray.schema import Failure, Scores
from roi_ray.scoring.scorer import Scorer
from roi_ray.scoring.version import SCORING_VERSION
from roi_ray.service.backend import NEEDS_CONTENT, MaskAnswer, ScoreAnswer
from roi_ray.service.local_backend import LocalBackend
from roi_ray.service.options import ServiceOptions
from roi_ray.service.worker import decode, preparer, scoring_work
from roi_ray.service.worker.prepared_cache import KeptReference
from roi_ray.service.worker.scoring_work import prepare
from roi_ray.service.worker.scoring_worker import ScoringWorker
from roi_ray.settings import DEFAULT_PREFERENCE_MODEL, Settings
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


def send(*requests: Coroutine) -> list:
    """Send requests at the same time; return the answers."""

    async def main() -> list:
        return await asyncio.gather(*requests)

    return asyncio.run(main())


def score(
    backend: LocalBackend | ScoringWorker,
    reference: bytes,
    images: list[bytes],
    mask: bytes | None = None,
):
    """Make a request for scores; the images are called 0.png, 1.png, ..."""
    files = [make_file(data, f"{number}.png") for number, data in enumerate(images)]
    mask_file = None if mask is None else make_file(mask, "m.png")
    return backend.score(make_file(reference, "x.png"), files, mask_file)


def test_concurrent_requests_have_the_scores_of_score_bit_for_bit(photos, backend) -> None:
    cases = [make_case(photos, case) for case in CASES] * 2
    answers = send(*(score(backend, *case) for case in cases))
    for (reference, images, mask), answer in zip(cases, answers, strict=True):
        expected = [roi_ray.score(reference, d, mask=mask, device="cpu") for d in images]
        assert list(answer.outcomes) == expected


def test_answer_says_what_made_its_numbers(photos, backend) -> None:
    x = encode(photos["coffee"][:32, :40])
    (answer,), provenance = send(score(backend, x, [x])), asyncio.run(backend.describe())
    assert answer.provenance == provenance
    assert provenance.scoring_version == SCORING_VERSION
    assert Settings(**provenance.settings) == Settings()
    assert provenance.weights == Scorer().provenance


def test_30_versions_of_a_reference_prepare_it_once(photos, backend, monkeypatch) -> None:
    calls = []

    def count(*arguments) -> KeptReference:
        calls.append(arguments)
        return prepare(*arguments)

    monkeypatch.setattr(preparer, "prepare", count)
    x = photos["rocket"][:48, :64]
    images = [encode(x, "JPEG", quality=quality) for quality in range(5, 95, 3)]
    answers = send(*(score(backend, encode(x), [image]) for image in images))
    assert len(calls) == 1
    assert sorted(answer.cached for answer in answers) == [False] + 29 * [True]
    (answer,) = send(score(backend, encode(x), images))
    assert (len(calls), answer.cached) == (1, True)
    assert [each.outcomes[0] for each in answers] == list(answer.outcomes)


def test_prepared_references_stay_within_their_bytes(photos) -> None:
    x = photos["chelsea"]
    references = [encode(x[top : top + 64, :64]) for top in range(0, 160, 16)]
    with open_backend(prepared_bytes=2 << 20) as backend:
        for reference in references:
            send(score(backend, reference, [reference]))
            assert 0 < backend.worker.cache.nbytes <= 2 << 20
        assert 0 < len(backend.worker.cache) < len(references)
        first, last = send(*(score(backend, references[n], [references[n]]) for n in (0, -1)))
    assert (first.cached, last.cached) == (False, True)


def test_concurrent_references_stay_within_the_bytes_of_prepared_ones(photos, monkeypatch) -> None:
    x = photos["chelsea"]
    references = [encode(x[top : top + 64, :64]) for top in range(0, 160, 16)]
    references.append(encode(x[:64, :64], "AVIF"))  # does not state its size
    alive: list[weakref.ref[KeptReference]] = []
    most = 0

    def watch(*arguments) -> KeptReference:
        nonlocal most
        kept = prepare(*arguments)
        alive.append(weakref.ref(kept))
        most = max(most, sum(each.nbytes for ref in alive if (each := ref()) is not None))
        return kept

    monkeypatch.setattr(preparer, "prepare", watch)
    with open_backend(prepared_bytes=2 << 20) as backend:
        answers = send(*(score(backend, data, [data] * 2) for data in references * 2))
    assert {outcome.psnr for answer in answers for outcome in answer.outcomes} == {100.0}
    assert len(alive) >= len(references)
    assert 0 < most <= 2 << 20


def test_images_do_not_take_the_bytes_that_their_reference_waits_for(photos) -> None:
    x = photos["coffee"]
    references = [encode(x[top : top + 64, :64]) for top in range(0, 96, 16)]
    with open_backend() as backend:
        options = ServiceOptions(device="cpu", prepared_bytes=1 << 20)
        worker = ScoringWorker(options, backend._decode, None, decoded_bytes=64 * 64 * 3)
        answers = send(*(score(worker, data, [data] * 3) for data in references * 2))
        worker.close()
    assert {outcome.psnr for answer in answers for outcome in answer.outcomes} == {100.0}


def test_small_images_do_not_wait_for_the_turn_of_large_ones(photos, monkeypatch) -> None:
    for module in (decode, scoring_work):
        monkeypatch.setattr(module, "PLANNED_PIXELS", 100 * 100)
    small, large = (encode(photos["coffee"][:side, :side]) for side in (80, 120))

    async def main(backend: LocalBackend) -> list[ScoreAnswer]:
        with exclusive_memory(1, "another image"):
            late = asyncio.ensure_future(score(backend, large, [large]))
            await asyncio.sleep(0)
            answers = [await score(backend, small, [small]) for _ in range(2)]
            assert not late.done()
        return [*answers, await late]

    with open_backend() as backend:
        answers = asyncio.run(main(backend))
    assert [answer.outcomes[0].psnr for answer in answers] == 3 * [100.0]


def test_one_bad_image_is_one_bad_result(photos, backend) -> None:
    x = photos["coffee"][:40, :48]
    images = [encode(x), b"", encode(x[:, :40]), encode(x, "JPEG")[:300], encode(x)]
    (answer,) = send(score(backend, encode(x), images))
    assert [isinstance(outcome, Scores) for outcome in answer.outcomes] == [1, 0, 0, 0, 1]
    assert [outcome.kind for outcome in answer.outcomes[1:4]] == [
        "ImageReadError",
        "SizeMismatch",
        "ImageReadError",
    ]
    assert answer.outcomes[1].text == "1.png: the file is empty (0 bytes)"
    assert answer.outcomes[2].text == "2.png: 40 x 40, but the reference is 48 x 40"


@pytest.mark.parametrize("case", ["reference", "small reference", "mask", "size of the mask"])
def test_unusable_reference_or_mask_fails_the_request_by_its_name(case, photos, backend) -> None:
    x, mask = photos["coffee"][:40, :48], np.full((40, 48), 255, np.uint8)
    reference, mask, expected = {
        "reference": (b"text", None, "reference x.png: "),
        "small reference": (encode(x[:10]), None, "reference x.png: "),
        "mask": (encode(x), encode(mask // 255), "mask m.png: the largest value of the mask is 1"),
        "size of the mask": (encode(x), encode(mask[:20]), "mask m.png: 48 x 20, but the refer"),
    }[case]
    image = reference if case == "small reference" else encode(x)
    for answer in send(*(score(backend, reference, [image], mask) for _ in range(2))):
        assert isinstance(answer, Failure)
        assert answer.text.startswith(expected)


def test_failed_reference_has_the_name_of_each_request(photos, backend) -> None:
    image = make_file(encode(photos["coffee"][:40, :48]))
    answers = send(*(backend.score(make_file(b"text", name), [image], None) for name in ("a", "b")))
    assert [answer.text.partition(":")[0] for answer in answers] == ["reference a", "reference b"]


def test_comparison_has_the_numbers_of_prefer_bit_for_bit(photos, backend) -> None:
    x = photos["chelsea"][:128, :160]
    a, b = encode(x, "JPEG", quality=60), encode(x, "JPEG", quality=20)
    reference = encode(x)
    scores, comparison, other = send(
        score(backend, reference, [a]),
        backend.compare(make_file(reference), make_file(a), make_file(b), None),
        backend.compare(make_file(reference), make_file(b), make_file(a), None),
    )
    expected = roi_ray.prefer(reference, a, b, device="cpu")
    assert comparison.preference == expected.to_dict()
    assert comparison.preference["probability"] == 1 - other.preference["probability"]
    assert comparison.provenance.settings["metrics"]
    assert scores.outcomes[0] == roi_ray.score(reference, a, device="cpu")


def test_comparison_uses_the_scorer_that_measures_enough(photos) -> None:
    needed = add_needs(load_preference_model(DEFAULT_PREFERENCE_MODEL), Settings())
    x = encode(photos["chelsea"][:64, :80])
    with open_backend(settings=needed) as backend:
        _, comparison = send(
            score(backend, x, [x]),
            backend.compare(make_file(x), make_file(x), make_file(x), None),
        )
    assert (comparison.cached, comparison.preference["probability"]) == (True, 0.5)


def test_comparison_with_an_unusable_image_names_it(photos, backend) -> None:
    x = make_file(encode(photos["chelsea"][:64, :80]), "x.png")
    (failure,) = send(backend.compare(x, x, make_file(b"", "bad.png"), None))
    assert failure == Failure("ImageReadError", "image b: bad.png: the file is empty (0 bytes)")


def test_comparison_with_settings_of_another_training_is_refused(photos) -> None:
    x = make_file(encode(photos["chelsea"][:64, :80]))
    with open_backend(settings=Settings(roi_weighting="normalised")) as backend:
        (failure,) = send(backend.compare(x, x, x, None))
    assert failure.kind == "UsageError"
    assert "roi_weighting" in failure.text


def test_mask_is_that_of_the_scorer(photos, backend) -> None:
    x = photos["astronaut"][:100, :120]
    answer, failure = send(
        backend.make_mask(make_file(encode(x))), backend.make_mask(make_file(b"", "e.png"))
    )
    prepared = Scorer().prepare(x)
    assert isinstance(answer, MaskAnswer)
    assert answer.roi_fraction == prepared.roi_fraction
    levels = np.rint(255 * prepared.mask.double().numpy())
    assert (np.asarray(Image.open(io.BytesIO(answer.png))) == levels).all()
    assert failure.text.startswith("reference e.png: ")


def test_references_are_kept(photos, backend) -> None:
    x = make_file(encode(photos["coffee"][:40, :48]), "x.png")

    async def main() -> list[object]:
        return [
            await backend.get_reference(x.sha256),
            await backend.put_reference(x),
            await backend.put_reference(x),
            await backend.get_reference(x.sha256),
            await backend.reference_size(x.sha256),
        ]

    kept = replace(x, name=f"sha256:{x.sha256}")
    assert asyncio.run(main()) == [None, True, False, kept, len(x.data)]


def test_cancelled_request_leaves_nothing_behind(photos, backend) -> None:
    x = photos["astronaut"][:256, :256]
    images = [encode(x, "JPEG", quality=quality) for quality in range(10, 90, 4)]

    async def main() -> ScoreAnswer:
        late = asyncio.ensure_future(score(backend, encode(x), images))
        other = asyncio.ensure_future(score(backend, encode(x), images[:1]))
        answer = await other
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
        assert late.cancelled()
        return answer

    answer = asyncio.run(main())
    assert isinstance(answer.outcomes[0], Scores)
    (answer,) = send(score(backend, encode(x), images[:2]))
    assert answer.cached
    assert all(isinstance(outcome, Scores) for outcome in answer.outcomes)


def test_images_that_need_more_than_all_bytes_are_scored_one_by_one(photos) -> None:
    x = photos["coffee"][:40, :48]
    images = [encode(x, "JPEG", quality=quality) for quality in (10, 50, 90)]
    with open_backend() as backend:
        worker = ScoringWorker(ServiceOptions(device="cpu"), backend._decode, None, 100)
        (answer,) = send(score(worker, encode(x), images))
        worker.close()
    expected = [roi_ray.score(encode(x), image, device="cpu") for image in images]
    assert list(answer.outcomes) == expected


def test_reference_that_is_prepared_needs_no_content(photos, backend) -> None:
    x = photos["coffee"][40:120, 60:160]
    reference, image = make_file(encode(x)), make_file(encode(x // 32 * 32))
    bare = reference.without_content()
    worker = backend.worker

    async def send() -> list[ScoreAnswer | Failure]:
        return [await worker.score(each, [image], None) for each in (bare, reference, bare)]

    refused, first, second = asyncio.run(send())
    assert refused.kind == NEEDS_CONTENT
    assert (first.cached, second.cached) == (False, True)
    assert first.outcomes == second.outcomes
    assert asyncio.run(worker.make_mask(bare)) == asyncio.run(worker.make_mask(reference))
    assert asyncio.run(worker.compare(bare, image, image, None)).kind == NEEDS_CONTENT


def test_empty_reference_is_no_bare_one(photos, backend) -> None:
    empty, image = make_file(b""), make_file(encode(photos["coffee"][:64, :64]))
    assert not empty.is_bare
    assert asyncio.run(backend.score(empty, [image], None)).kind == "ImageReadError"
