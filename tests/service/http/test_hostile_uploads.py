"""Hostile files through HTTP: each is one result, never a failed request and never a hang."""

import itertools
from collections.abc import Iterator, Sequence

import httpx
import pytest

from roi_ray import errors
from tests.conftest import encode
from tests.imaging import hostile
from tests.imaging.test_fuzz import FIELDS, fuzz, image_seeds, mutated
from tests.service.conftest import MAX_BYTES, MAX_IMAGES, MAX_PIXELS


@pytest.fixture(scope="module")
def corpus(photos) -> list[hostile.File]:
    files = hostile.corpus(photos["coffee"], MAX_PIXELS)
    return [(name, data) for name, data in files if len(data) < MAX_BYTES // 8]


def batches(files: Sequence[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    remaining = iter(files)
    return iter(lambda: list(itertools.islice(remaining, MAX_IMAGES)), [])


def check_result(result: dict[str, object]) -> None:
    """Check that a result has numbers, or an error of an image."""
    kind = result["error_kind"]
    if kind is None:
        assert result["mse"] >= 0
    else:
        assert issubclass(getattr(errors, kind), errors.ImageError), result
        assert result["error"].startswith(f"{result['image']}: ")
        assert "mse" not in result


def check_answer(response: httpx.Response) -> None:
    """Check that a request has an answer, or an error that is its file's fault."""
    if response.status_code == 200:
        return
    assert response.status_code == 422, response.text
    assert issubclass(getattr(errors, response.json()["error_kind"]), errors.ImageError)


def send_all(service: httpx.Client, reference: bytes, files: Sequence[tuple[str, bytes]]) -> None:
    for batch in batches(files):
        parts = [("reference", ("x.png", reference))]
        parts += [("image", (name, data)) for name, data in batch]
        response = service.post("/v1/score", files=parts)
        assert response.status_code == 200, response.text
        results = response.json()["images"]
        assert [result["image"] for result in results] == [name for name, _ in batch]
        for result in results:
            check_result(result)


@pytest.mark.long
def test_every_hostile_file_is_one_result(service, photos, corpus) -> None:
    # Most files have another size than this reference. They are decoded, but not scored, because
    # scoring takes longer.
    send_all(service, encode(photos["coffee"][:64, :95]), corpus)


def test_some_hostile_files_are_scored_or_fail(service, photos, corpus) -> None:
    send_all(service, encode(photos["coffee"][:64, :96]), corpus[::300])


def test_hostile_reference_or_mask_fails_the_request(service, photos, corpus) -> None:
    x = encode(photos["coffee"][:64, :96])
    for name, data in corpus[7::300]:
        check_answer(
            service.post("/v1/score", files={"reference": (name, data), "image": ("y", x)})
        )
        files = {"reference": ("x", x), "a": ("a", data), "b": ("b", x), "mask": (name, data)}
        check_answer(service.post("/v1/compare", files=files))


def test_mutated_files_are_results(service, photos) -> None:
    x = encode(photos["coffee"][:24, :31])

    def check(data: bytes) -> None:
        (result,) = service.post(
            "/v1/score", files={"reference": ("x.png", x), "image": ("y", data)}
        ).json()["images"]
        check_result(result)

    fuzz(mutated(image_seeds(), FIELDS), check, 100)
