"""Check that a Ray cluster answers at `RAY_ADDRESS`, before Ray itself connects to it.

Ray retries an address that nobody answers for 14 minutes, prints a warning for each try, and then
does not say what is wrong. The check asks Ray's head node the same question in at most half a
minute, and its errors say what to do.
"""

import logging
import re
import socket
import time
from typing import TYPE_CHECKING

from roi_ray.errors import ClusterError

if TYPE_CHECKING:
    from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub

_ANSWER_SECONDS = 15
"""How long to wait for an answer: a head node that is starting refuses connections at first."""
_NODE_SECONDS = 10
"""How long to wait until the cluster knows this machine, which may just have joined it."""
_CONNECT_SECONDS = 5
_EXAMPLE = "RAY_ADDRESS=HOST:6379, the host and port of the cluster's head node"


def check_cluster(address: str) -> None:
    """Check that a Ray cluster of this process's version answers, and that this machine is in it.

    Args:
        address: value of `RAY_ADDRESS`: `HOST:PORT`, or `auto` for a Ray on this machine.

    Raises:
        ClusterError: the address cannot be used.
    """
    if address.startswith("ray://"):
        raise ClusterError(
            "Ray Data does not run through Ray Client (ray://); use `ray job submit`, or, on a "
            f"node of the cluster, {_EXAMPLE}"
        )
    if "://" in address:
        raise ClusterError(
            f"it is the address of a web page; use {_EXAMPLE}, or start the command with "
            "`ray job submit`, which takes web addresses"
        )
    resolved = _resolve(address)
    import grpc
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.ray_constants import GLOBAL_GRPC_OPTIONS
    from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub

    # Ray's own channel, for its settings of TLS, tokens and proxies.
    with init_grpc_channel(resolved, GLOBAL_GRPC_OPTIONS) as channel:
        try:
            head = NodeInfoGcsServiceStub(channel)
            _check_version(head)
            _check_node(head)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                raise ClusterError(
                    "the cluster refuses this process's token; set RAY_AUTH_MODE=token, and the "
                    "cluster's token in RAY_AUTH_TOKEN or in the file RAY_AUTH_TOKEN_PATH"
                ) from error
            raise ClusterError(_explain_silence(resolved)) from error


def _resolve(address: str) -> str:
    """Return an address as HOST:PORT."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise ClusterError(f"it has no host and port; use {_EXAMPLE}")
    from ray._private.authentication import authentication_token_setup
    from ray._private.services import canonicalize_bootstrap_address

    try:
        resolved = str(canonicalize_bootstrap_address(address))
    except ConnectionError as error:
        raise ClusterError(
            "no Ray runs on this machine; start one with `ray start --head`, or unset RAY_ADDRESS"
        ) from error
    if address == "auto":
        # For this address alone, Ray uses a token from the home folder without being told to.
        logging.getLogger("ray").setLevel(logging.ERROR)
        authentication_token_setup.maybe_enable_token_auth_if_token_available(False)
    return resolved


def _check_version(head: "NodeInfoGcsServiceStub") -> None:
    """Wait for the head node, and compare its version of Ray with this process's."""
    import ray
    from ray.core.generated.gcs_service_pb2 import CheckAliveRequest

    # A connection that is refused is tried again until the time is over.
    reply = head.CheckAlive(CheckAliveRequest(), timeout=_ANSWER_SECONDS, wait_for_ready=True)
    if reply.ray_version != ray.__version__:
        raise ClusterError(
            f"the cluster runs Ray {reply.ray_version}, but Ray {ray.__version__} is installed "
            "here; install the cluster's version, or update the cluster"
        )


def _check_node(head: "NodeInfoGcsServiceStub") -> None:
    """Wait until a node of the cluster runs on this machine; Ray connects to a cluster through it.

    Ray waits for a minute, and its error does not name the reason.
    """
    from ray._private.services import find_node_ids
    from ray.core.generated.gcs_pb2 import GcsNodeInfo
    from ray.core.generated.gcs_service_pb2 import GetAllNodeInfoRequest

    end = time.monotonic() + _NODE_SECONDS
    while True:
        reply = head.GetAllNodeInfo(GetAllNodeInfoRequest(), timeout=_ANSWER_SECONDS)
        nodes = {
            node.node_id.hex()
            for node in reply.node_info_list
            if node.state == GcsNodeInfo.GcsNodeState.ALIVE
        }
        if nodes & set(find_node_ids()):
            return
        if time.monotonic() > end:
            raise ClusterError(
                "this machine is not a node of the cluster; start the command with "
                "`ray job submit`, or on a node"
            )
        time.sleep(1)


def _explain_silence(address: str) -> str:
    """Say why no head node has answered, from what a plain connection does."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except socket.gaierror:
        return f"there is no host {host}; use {_EXAMPLE}"
    except ConnectionRefusedError:
        return (
            f"nothing listens at {address}; start the cluster, or use {_EXAMPLE}, or unset it for "
            "a Ray on this machine"
        )
    except OSError:
        return f"no answer from {address}; check the address, the network and its firewall"
    return (
        f"the server at {address} does not answer as the head node of a Ray cluster; use "
        f"{_EXAMPLE} (by default, 8265 is its dashboard and 10001 Ray Client)"
    )


def explain(error: Exception) -> str:
    """Say in one line why this process cannot use the cluster, and what to do."""
    text = str(error).strip()
    if isinstance(error, ClusterError):
        return text
    versions = re.findall(r"Ray: (\S+)\s+Python: (\S+)", text)
    if len(versions) == 2:
        cluster, here = versions
        return (
            f"the cluster runs Ray {cluster[0]} with Python {cluster[1]}, this process Ray "
            f"{here[0]} with Python {here[1]}; use the same versions"
        )
    if text.startswith("Token authentication is enabled"):
        return (
            "RAY_AUTH_MODE=token, but there is no token; set the cluster's token in RAY_AUTH_TOKEN "
            "or in the file RAY_AUTH_TOKEN_PATH"
        )
    return text.partition("\n")[0]
