"""Ports for servers that tests start: one that is given up stays free until it is taken again."""

import random
import socket
from contextlib import closing, suppress

_PORTS = range(20_000, 22_700)
_GRPC = 10_000


def free_ports(number: int) -> list[int]:
    """Return free ports that no other program gets by chance.

    They lie above those of Ray's workers and below those that Linux gives to connections and to
    servers that ask for any port (32,768 and above), and so do the ports 10,000 above them, which
    SeaweedFS takes for gRPC.
    """
    ports: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if _is_free(port) and _is_free(port + _GRPC):
            ports.append(port)
        if len(ports) == number:
            return ports
    raise RuntimeError(f"fewer than {number} free ports from {_PORTS.start} to {_PORTS.stop}")


def _is_free(port: int) -> bool:
    with suppress(OSError), closing(socket.create_server(("127.0.0.1", port))):
        return True
    return False
