"""The names that a request may be for.

Without this check, a page of another site could point its own name at this server's address (DNS
rebinding), and its scripts would then talk to the server as to their own site.
"""

import ipaddress
import re

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

ANY_ADDRESS = "*"
"""Stands for every IP address. A name that leads to this server by DNS is not one."""


def list_hosts(host: str, public_host: str | None = None) -> frozenset[str]:
    """List the hosts that requests may be for.

    Args:
        host: name or address that the server listens at.
        public_host: the host that browsers see, if a proxy is between.

    Examples:
        >>> sorted(list_hosts("127.0.0.1", "Votes.example.org"))
        ['127.0.0.1', '::1', 'localhost', 'votes.example.org']
        >>> ANY_ADDRESS in list_hosts("0.0.0.0")
        True
    """
    hosts = {*LOOPBACK_NAMES, ANY_ADDRESS if host in ("", "0.0.0.0", "::") else host.lower()}
    return frozenset(hosts | ({public_host.lower()} if public_host else set()))


def is_known_host(value: str, hosts: frozenset[str]) -> bool:
    """Return whether the header `Host` of a request names one of the hosts, at any port.

    Examples:
        >>> hosts = list_hosts("127.0.0.1")
        >>> is_known_host("localhost:8100", hosts), is_known_host("[::1]:8100", hosts)
        (True, True)
        >>> is_known_host("evil.org", hosts), is_known_host("localhost@evil.org", hosts)
        (False, False)
        >>> is_known_host("192.168.1.5:8100", list_hosts("0.0.0.0"))
        True
    """
    match = _HOST.fullmatch(value)
    if match is None:
        return False
    name = match["name"].strip("[]").lower().removesuffix(".")
    return name in hosts or (ANY_ADDRESS in hosts and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
