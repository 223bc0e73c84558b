"""Prepared references, kept by bytes."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import torch

from roi_ray.metrics.strips import WHOLE_PIXELS
from roi_ray.scoring.prepared import Prepared
from roi_ray.scoring.scorer import Scorer
from roi_ray.service.worker.prepared_cache import KeptReference, PreparedCache, count_bytes
from roi_ray.service.worker.scoring_work import prepare


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer()


@pytest.fixture(scope="module")
def kept(scorer, photos) -> list[KeptReference]:
    """Three references of one size."""
    return [
        prepare(scorer, photos[name][:64, :96], None) for name in ("chelsea", "coffee", "rocket")
    ]


def load(
    reference: KeptReference, log: list[KeptReference]
) -> Callable[[], Awaitable[KeptReference]]:
    async def run() -> KeptReference:
        log.append(reference)
        await asyncio.sleep(0)
        return reference

    return run


async def use(
    cache: PreparedCache, key: object, run: Callable[[], Awaitable[KeptReference]], need: int = 1
) -> bool:
    """Use a reference; return whether it was there."""
    async with cache.open(key, run, need) as (future, is_cached):
        await asyncio.shield(future)
        return is_cached


def count_tensors(prepared: Prepared) -> int:
    """Count the bytes of all tensors that can be reached from an object."""
    storages: dict[int, int] = {}
    seen: set[int] = set()

    def visit(value: object) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, torch.Tensor):
            storages[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, dict):
            for item in value.values():
                visit(item)
        elif isinstance(value, list | tuple):
            for item in value:
                visit(item)
        elif callable(value) and getattr(value, "__closure__", None):
            for cell in value.__closure__:
                visit(cell.cell_contents)
        elif hasattr(value, "__dict__"):
            visit(vars(value))

    visit(prepared)
    return sum(storages.values())


def test_bytes_are_those_of_all_tensors(scorer, photos) -> None:
    x = photos["chelsea"][:100, :140]
    reference = prepare(scorer, x, None)
    before = reference.nbytes
    scorer.score(reference.prepared, [x // 2])
    # Apart from some numbers of 8 bytes.
    assert count_tensors(reference.prepared) == pytest.approx(reference.nbytes, abs=200)
    assert reference.nbytes > before > x.nbytes  # weights of the mask are made by the first image


def test_pixels_of_a_large_reference_count(scorer, photos) -> None:
    x = photos["hubble_deep_field"].repeat(2, axis=0)
    assert x.shape[0] * x.shape[1] > WHOLE_PIXELS
    view = x[:, ::1]
    reference = prepare(scorer, view, None)
    assert reference.pixels is not None
    assert reference.pixels.flags.owndata  # a copy, as the view may lie in shared memory
    assert reference.nbytes == count_bytes(reference.prepared) + x.nbytes


def test_requests_for_a_new_reference_prepare_it_once(kept) -> None:
    cache, log = PreparedCache(1 << 30), []

    async def main() -> list[bool]:
        return await asyncio.gather(*(use(cache, "x", load(kept[0], log)) for _ in range(30)))

    assert asyncio.run(main()) == [False] + 29 * [True]
    assert len(log) == 1
    assert (cache.hits, cache.misses) == (29, 1)


def test_least_recently_used_references_are_dropped_by_bytes(kept) -> None:
    cache, log = PreparedCache(2 * kept[0].nbytes), []

    async def main() -> None:
        for number in (0, 1, 0, 2, 0, 2, 1):
            await use(cache, number, load(kept[number], log))

    asyncio.run(main())
    assert log == [kept[0], kept[1], kept[2], kept[1]]
    assert cache.nbytes == 2 * kept[0].nbytes
    assert 0 not in cache


def test_reference_larger_than_all_bytes_is_used_alone_and_dropped(kept) -> None:
    cache = PreparedCache(kept[0].nbytes - 1)

    async def main() -> None:
        async with cache.open("x", load(kept[0], []), kept[0].nbytes) as (future, _):
            await future
            assert "x" in cache
        assert len(cache) == 0

    asyncio.run(main())


def test_new_references_wait_for_room_in_the_order_of_their_requests(kept) -> None:
    size = kept[0].nbytes
    cache, log = PreparedCache(2 * size), []

    async def hold(number: int, need: int, may_end: asyncio.Event) -> None:
        async with cache.open(number, load(kept[number], log), need) as (future, _):
            await asyncio.shield(future)
            await may_end.wait()

    async def main() -> None:
        ends = [asyncio.Event() for _ in kept]
        needs = (size, 2 * size, size)
        tasks = [
            asyncio.ensure_future(hold(number, need, ends[number]))
            for number, need in enumerate(needs)
        ]
        again = asyncio.ensure_future(use(cache, 0, load(kept[0], log)))
        assert await again  # a request for a reference that is there waits for none
        assert log == [kept[0]]  # the small third waits behind the large second
        cancelled = asyncio.ensure_future(hold(3, size, ends[0]))
        await asyncio.sleep(0)
        cancelled.cancel()
        for number, task in enumerate(tasks):
            assert log[: number + 1] == kept[: number + 1]
            assert cache.nbytes <= 2 * size
            ends[number].set()
            await task
            for _ in range(5):
                await asyncio.sleep(0)

    asyncio.run(main())
    assert log == kept


def test_error_reaches_all_requests_and_is_not_kept(kept) -> None:
    cache, log = PreparedCache(1 << 30), []

    async def fail() -> KeptReference:
        log.append(None)
        raise ValueError("not an image")

    async def main() -> None:
        results = await asyncio.gather(
            *(use(cache, "x", fail) for _ in range(3)), return_exceptions=True
        )
        assert [str(result) for result in results] == 3 * ["not an image"]
        assert not await use(cache, "x", load(kept[0], log))

    asyncio.run(main())
    assert log == [None, kept[0]]


def test_preparation_goes_on_until_no_request_waits_for_it(kept) -> None:
    cache, events = PreparedCache(1 << 30), []

    async def wait() -> KeptReference:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        return kept[0]

    async def main() -> None:
        first, second = (asyncio.ensure_future(use(cache, "x", wait)) for _ in range(2))
        for _ in range(3):
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert events == []
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await asyncio.sleep(0)
        assert events == ["cancelled"]
        assert "x" not in cache
        assert not await use(cache, "x", load(kept[0], []))

    asyncio.run(main())
