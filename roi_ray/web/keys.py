"""Check keys. A web server knows only their hashes."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from roi_ray.web.key_file import check_hash

_SCHEME = b"bearer "


def hash_key(key: str) -> str:
    """Return the SHA-256 of a key, in hexadecimal, as options take it.

    Examples:
        >>> hash_key("secret")[:16]
        '2bb80d537b1da3e3'
    """
    return hashlib.sha256(key.encode()).hexdigest()


def parse_hashes(hashes: Iterable[str]) -> tuple[bytes, ...]:
    """Return the bytes of hashes in hexadecimal.

    Raises:
        UsageError: one is not a SHA-256. The message does not repeat it, as it may be a key.
    """
    numbered = enumerate(hashes, start=1)
    return tuple(bytes.fromhex(check_hash(text, f"API key {number}")) for number, text in numbered)


def is_authorised(authorization: Sequence[bytes], hashes: Sequence[bytes]) -> bool:
    """Return whether a request has a key that opens the service.

    The key is compared with all hashes, in constant time, so that the time says nothing about them.

    Args:
        authorization: values of the headers `Authorization`, as they were sent.
        hashes: SHA-256 of each key; if there is none, every request is authorised.

    Examples:
        >>> hashes = parse_hashes([hash_key("secret")])
        >>> is_authorised([b"Bearer secret"], hashes), is_authorised([b"Bearer x"], hashes)
        (True, False)
    """
    if not hashes:
        return True
    value = authorization[0] if len(authorization) == 1 else b""
    has_scheme = value[: len(_SCHEME)].lower() == _SCHEME
    digest = hashlib.sha256(value[len(_SCHEME) :].strip()).digest()
    equal = [hmac.compare_digest(digest, known) for known in hashes]
    return has_scheme and any(equal)
