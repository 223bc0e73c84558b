"""Clients of both kinds behind one interface."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from roi_ray.client import AsyncClient, Client, retry


class _Awaited:
    """An `AsyncClient` whose methods are awaited in another thread."""

    def __init__(self, portal: Any, client: AsyncClient) -> None:
        self._portal, self._client = portal, client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **options: self._portal.call(partial(method, *args, **options))


@contextmanager
def connect_awaited(url: str, **options: Any) -> Iterator[_Awaited]:
    client = AsyncClient(url, **options)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(client):
        yield _Awaited(portal, client)


Connect = Callable[..., AbstractContextManager[Client]]


@pytest.fixture(params=[Client, connect_awaited], ids=["sync", "async"])
def connect(request) -> Connect:
    """Connect a client; those of asyncio are called as those that wait."""
    return request.param


@pytest.fixture
def short_pauses(monkeypatch) -> None:
    """Pauses between retries that are fifty times shorter."""
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 0.01)
