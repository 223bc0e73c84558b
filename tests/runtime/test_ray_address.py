import socket

import pytest
import ray
from ray._private.utils import check_version_info

from roi_ray.errors import ClusterError
from roi_ray.runtime import ray_address
from roi_ray.runtime.ray_address import check_cluster, explain


@pytest.fixture
def server(monkeypatch):
    """A socket that accepts no connection; a few wait in its queue. It is not waited for long."""
    monkeypatch.setattr(ray_address, "_ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(ray_address, "_CONNECT_SECONDS", 0.5)
    with socket.socket() as listener:
        listener.bind(("", 0))  # Ray turns 127.0.0.1 into this machine's address in the network
        yield listener


def address_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("localhost", "it has no host and port; use RAY_ADDRESS=HOST:6379"),
        (":6379", "it has no host and port"),
        ("127.0.0.1:port", "it has no host and port"),
        ("127.0.0.1:70000", "it has no host and port"),
        ("http://127.0.0.1:8265", "it is the address of a web page; .* `ray job submit`"),
        ("ray://127.0.0.1:10001", "does not run through Ray Client"),
        ("no-such-host.invalid:6379", "there is no host no-such-host.invalid"),
    ],
)
def test_unusable_address_is_a_cluster_error(address, message) -> None:
    with pytest.raises(ClusterError, match=message):
        check_cluster(address)


def test_refused_connection_is_a_cluster_error(server) -> None:
    with pytest.raises(ClusterError, match=r"nothing listens at .*; start the cluster"):
        check_cluster(address_of(server))


def test_host_that_drops_packets_is_a_cluster_error(server) -> None:
    server.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for client in waiting:  # Linux drops what does not fit into the queue
        client.setblocking(False)
        client.connect_ex(server.getsockname())
    with pytest.raises(ClusterError, match=r"no answer from .*; check the address"):
        check_cluster(address_of(server))
    for client in waiting:
        client.close()


def test_server_that_is_not_ray_is_a_cluster_error(server) -> None:
    server.listen()
    with pytest.raises(ClusterError, match="does not answer as the head node"):
        check_cluster(address_of(server))


def test_running_cluster_passes_unless_its_version_differs(ray_cluster, monkeypatch) -> None:
    address = ray.get_runtime_context().gcs_address
    check_cluster(address)
    running = ray.__version__
    monkeypatch.setattr(ray, "__version__", "2.59.0")
    message = f"the cluster runs Ray {running}, but Ray 2.59.0 is installed here"
    with pytest.raises(ClusterError, match=message):
        check_cluster(address)


def test_another_version_of_python_is_explained_in_one_line() -> None:
    metadata = {"ray_version": ray.__version__, "python_version": "3.8.1"}
    with pytest.raises(RuntimeError) as caught:
        check_version_info(metadata, "this process")
    line = explain(caught.value)
    assert line.startswith(
        f"the cluster runs Ray {ray.__version__} with Python 3.8.1, this process"
    )
    assert "\n" not in line
