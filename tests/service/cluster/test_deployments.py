"""The processes of a service on Ray Serve: affinity, and deaths in mid-request."""

import asyncio
import io
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

import roi_ray
from roi_ray.schema import Failure, Scores
from roi_ray.service.cluster.serve_backend import ServeBackend
from roi_ray.service.options import ServiceOptions
from tests.conftest import Photos, deepen, encode, encode_16_bits
from tests.service.files import make_file

pytestmark = pytest.mark.long

_TIMEOUT = 120.0


@pytest.fixture(scope="module")
def backend(ray_cluster) -> Iterator[ServeBackend]:
    """A backend of two processes that score and one that decodes, without HTTP."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray Serve uses pydantic in ways that it deprecates
        from ray import serve

        from roi_ray.service.cluster.deployments import build_app

        serve.start(proxy_location="Disabled")
        options = ServiceOptions(device="cpu", replicas=2)
        serve.run(build_app(options), name="roi-ray", route_prefix="/")
        handles = [
            serve.get_deployment_handle(name, "roi-ray")
            for name in ("ScoringReplica", "References")
        ]
    yield ServeBackend(*handles)
    serve.shutdown()


@contextmanager
def one_thread() -> Iterator[None]:
    """Score with as many threads as each of the two processes has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // 2))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def find_processes(name: str) -> list[psutil.Process]:
    """Find the processes of this test's Ray that do something of this name."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if name in " ".join(process.cmdline()[:1]):
                found.append(process)
        except psutil.Error:
            continue
    return found


def read_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process; 0 if it has ended."""
    try:
        return sum(process.cpu_times()[:2])
    except psutil.Error:
        return 0.0


async def kill_busy(name: str, seconds: float = 0.3) -> int:
    """Kill the first process of this name that has worked for some time from now on."""
    before = {process.pid: read_seconds(process) for process in find_processes(name)}
    end = time.monotonic() + _TIMEOUT
    while time.monotonic() < end:
        for process in find_processes(name):
            if read_seconds(process) - before.get(process.pid, 0.0) > seconds:
                process.kill()
                return process.pid
        await asyncio.sleep(0.02)
    raise AssertionError(f"no process {name} is busy")


async def kill_decoder(name: str) -> None:
    """Kill the process of this name that decodes the large file: its memory grows."""
    before: dict[int, int] = {}
    end = time.monotonic() + _TIMEOUT
    while time.monotonic() < end:
        for process in find_processes(name):
            with suppress(psutil.Error):
                size = process.memory_info().rss
                if size - before.setdefault(process.pid, size) > _LARGE_BYTES / 2:
                    process.kill()
                    return
        await asyncio.sleep(0.02)
    raise AssertionError(f"no process {name} decodes the large file")


_LARGE_SIDE = 8000
_LARGE_BYTES = 3 * _LARGE_SIDE**2


def make_large_file() -> bytes:
    """Make a small file of a large image, whose decoding takes a second."""
    file = io.BytesIO()
    pixels = np.zeros((_LARGE_SIDE, _LARGE_SIDE, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def make_versions(photos: Photos, count: int) -> tuple[bytes, list[bytes]]:
    x = photos["chelsea"][:200, :240]
    return encode(x), [encode(x, "JPEG", quality=20 + number) for number in range(count)]


async def count_images(backend: ServeBackend) -> list[int]:
    """Return how many images each process that scores has."""
    return await backend._scoring.broadcast("count_images").results_async()


def count_cached(answers: list) -> int:
    return sum(answer.cached for answer in answers)


def test_reference_that_was_sent_before_is_prepared_where_it_is_not_yet(photos, backend) -> None:
    x = photos["coffee"][100:164, 200:280]
    reference, image = make_file(encode(x)), make_file(encode(x, "JPEG", quality=30))

    async def main() -> list:
        await backend.put_reference(reference)
        kept = await backend.get_reference(reference.sha256)
        return [await backend.score(kept, [image], None) for _ in range(2)]

    answers = asyncio.run(main())
    assert [answer.cached for answer in answers] == [False, True]
    with one_thread():
        expected = roi_ray.score(reference.data, image.data, device="cpu")
    assert [answer.outcomes for answer in answers] == 2 * [(expected,)]


def test_reference_stays_with_one_process_that_has_prepared_it(photos, backend) -> None:
    async def main() -> list:
        answers = []
        for number in range(4):
            x = photos["coffee"][number : 64 + number, :80]
            for quality in (20, 40, 60, 80, 90):
                image = make_file(encode(x, "JPEG", quality=quality))
                answers.append(await backend.score(make_file(encode(x)), [image], None))
        return answers

    answers = asyncio.run(main())
    assert [answer.cached for answer in answers] == 4 * ([False] + 4 * [True])


def test_scores_of_both_processes_are_those_of_score_bit_for_bit(photos, backend) -> None:
    reference, images = make_versions(photos, 4)
    x = photos["chelsea"][100:164, 100:180]
    deep = encode_16_bits(np.asarray(deepen(x, 16)))
    mask = np.zeros(x.shape[:2], np.uint8)
    mask[10:40, 20:60] = 255
    cases = [(reference, images, None), (deep, [encode(x), deep], None)]
    cases += [(encode(x), [encode(x, "WEBP")], encode(mask)), (encode(x), [deep], None)]

    async def main() -> list:
        return await asyncio.gather(
            *(
                backend.score(make_file(r), [make_file(d) for d in data], m and make_file(m))
                for r, data, m in cases * 3
            ),
            backend.compare(*(make_file(data) for data in (reference, *images[:2])), None),
        )

    *answers, comparison = asyncio.run(main())
    with one_thread():
        for (r, data, m), answer in zip(cases * 3, answers, strict=True):
            expected = [roi_ray.score(r, d, mask=m, device="cpu") for d in data]
            assert list(answer.outcomes) == expected
        preference = roi_ray.prefer(reference, *images[:2], device="cpu")
    assert comparison.preference == preference.to_dict()
    assert {
        answers[1].outcomes[1].reference_bit_depth,
        answers[3].outcomes[0].distorted_bit_depth,
    } == {16}


def test_references_are_kept(photos, backend) -> None:
    x = make_file(encode(photos["rocket"][:40, :40]), "x.png")

    async def main() -> list:
        return [
            await backend.get_reference(x.sha256),
            await backend.put_reference(x),
            await backend.put_reference(x),
            await backend.get_reference(x.sha256),
            await backend.reference_size(x.sha256),
        ]

    kept = replace(x, name=f"sha256:{x.sha256}")
    assert asyncio.run(main()) == [None, True, False, kept, len(x.data)]


@pytest.mark.parametrize("deaths", [1, 2])
def test_death_of_a_decoder_fails_only_the_file_that_kills_it_twice(
    deaths, photos, backend
) -> None:
    reference, images = make_versions(photos, 4)
    large = make_large_file()

    async def main() -> tuple:
        # Ends when a decoder runs: the last test may have killed one.
        await backend.make_mask(make_file(encode(photos["rocket"][deaths:20, :20])))
        files = [make_file(data, f"{number}") for number, data in enumerate([*images, large])]
        sent = asyncio.ensure_future(backend.score(make_file(reference), files, None))
        other = asyncio.ensure_future(backend.score(make_file(images[0]), files[:3], None))
        await kill_decoder("roi-ray:Decoder")
        if deaths == 2:
            await kill_decoder("_decode_in_task")
        async with asyncio.timeout(_TIMEOUT):
            return await sent, await other

    answer, other = asyncio.run(main())
    *outcomes, failure = answer.outcomes
    with one_thread():
        assert outcomes == [roi_ray.score(reference, data, device="cpu") for data in images]
    assert all(isinstance(outcome, Scores) for outcome in other.outcomes)
    assert failure.kind == ("SizeMismatch" if deaths == 1 else "WorkerDied")
    assert failure.text.startswith("4: ")


def test_death_of_a_process_that_scores_loses_no_request(photos, backend) -> None:
    references = [encode(photos[name]) for name in ("astronaut", "coffee", "rocket", "chelsea")]

    async def main() -> list:
        requests = [
            asyncio.ensure_future(backend.score(make_file(x), [make_file(x)] * 8, None))
            for x in references
        ]
        await kill_busy("roi-ray:ScoringReplica")
        async with asyncio.timeout(_TIMEOUT):
            return await asyncio.gather(*requests)

    for answer in asyncio.run(main()):
        assert not isinstance(answer, Failure)
        assert {outcome.psnr for outcome in answer.outcomes} == {100.0}


def test_cancelled_request_ends_in_the_process_that_scores(photos, backend) -> None:
    x = encode(photos["hubble_deep_field"])

    async def wait_until(is_busy: bool) -> None:
        async with asyncio.timeout(_TIMEOUT / 6):  # the images would take a minute
            while bool(sum(await count_images(backend))) != is_busy:
                await asyncio.sleep(0.05)

    async def main() -> None:
        await wait_until(False)
        late = asyncio.ensure_future(backend.score(make_file(x), [make_file(x)] * 60, None))
        await wait_until(True)
        late.cancel()
        await asyncio.wait({late})
        await wait_until(False)

    asyncio.run(main())
