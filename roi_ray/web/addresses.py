"""The address that a server listens at."""

import errno
import socket

from roi_ray.errors import UsageError

LOOPBACK = "127.0.0.1"


def find_port(host: str, port: int) -> int:
    """Check that a server can listen at an address.

    Ray Serve would share a port with another Ray Serve of the same user, and clients would reach
    one of the two by chance.

    Args:
        host: name or IP address of this machine.
        port: the port; 0 for any that is free.

    Returns:
        the port.

    Raises:
        UsageError: the host is not this machine, or the port is not free.
    """
    with listen(host, port) as server:
        return int(server.getsockname()[1])


def listen(host: str, port: int) -> socket.socket:
    """Listen at an address; connections wait until they are accepted.

    Args:
        host: see `find_port`.
        port: see `find_port`.

    Raises:
        UsageError: see `find_port`.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host} is no name or address of a machine") from error
    server = socket.socket(family, kind, protocol)
    # Otherwise connections that were closed in the last minute would keep the port.
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(address)
        server.listen()
    except OSError as error:
        server.close()
        raise _explain(error, host, port) from error
    return server


def _explain(error: OSError, host: str, port: int) -> UsageError:
    if isinstance(error, PermissionError):
        return UsageError(f"--port {port} is reserved; use one above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"--host {host} is not an address of this machine")
    return UsageError(f"port {port} of {host} is in use; stop what uses it, or give another --port")


def is_loopback(host: str) -> bool:
    """Return whether only programs on the same machine reach a host.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    import ipaddress

    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in addresses)


def make_url(host: str, port: int) -> str:
    """Write the URL of a service for programs on the same machine.

    Examples:
        >>> make_url("127.0.0.1", 8000), make_url("::1", 8000), make_url("0.0.0.0", 80)
        ('http://127.0.0.1:8000', 'http://[::1]:8000', 'http://127.0.0.1:80')
    """
    local = {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"
