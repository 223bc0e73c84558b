"""A real uvicorn in a thread of this process, on a free port."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_PATIENCE = 120.0
"""Seconds that the end of a server may take on a busy machine."""


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve an app, on a port or on any that is free; yield its URL."""
    config = uvicorn.Config(
        app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", port))
    # Without it, the end of each answer waits 40 ms for the client to acknowledge the beginning:
    # asyncio sets it only on sockets whose protocol is given, and uvloop always.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port = listening.getsockname()[1]  # connections wait until the server accepts them
    thread = threading.Thread(target=asyncio.run, args=(server.serve([listening]),))
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(_PATIENCE)
        listening.close()
        assert not thread.is_alive(), f"{port} is still served after {_PATIENCE:g} seconds"
