"""The address that a server listens at."""

import socket
from collections.abc import Iterator

import pytest

from roi_ray.errors import UsageError
from roi_ray.web.addresses import find_port, is_loopback


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_refused_also_where_ray_serve_would_share_it(taken) -> None:
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        with pytest.raises(UsageError, match=f"port {taken} of {host} is in use"):
            find_port(host, taken)


def test_port_0_is_any_free_one_and_a_free_port_is_itself() -> None:
    port = find_port("127.0.0.1", 0)
    assert port > 0
    assert find_port("127.0.0.1", port) == port


@pytest.mark.parametrize(
    ("host", "text"), [("192.0.2.99", "not an address of this machine"), ("a b", "no name")]
)
def test_a_host_that_is_not_this_machine_is_refused(host, text) -> None:
    with pytest.raises(UsageError, match=text):
        find_port(host, 0)


def test_loopback_hosts() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "localhost", "::1"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.0.2.1", "a b"))
