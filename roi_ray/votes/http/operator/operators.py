"""Who is the operator: a key, and sessions of browsers that sent it."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence

from roi_ray.web.keys import hash_key, is_authorised, parse_hashes

SESSION_SECONDS = 12 * 3600
_MAX_SESSIONS = 100


class Operators:
    """The keys and the sessions of the operator. Sessions are in memory: a restart ends them.

    Args:
        hashes: SHA-256 of each key, in hexadecimal; if there is none, nobody is the operator.
        clock: seconds from any beginning.

    Examples:
        >>> operators = Operators([hash_key("secret")])
        >>> operators.begin_session("wrong") is None
        True
        >>> session = operators.begin_session("secret")
        >>> operators.has_session(session), operators.has_session("x")
        (True, False)
        >>> operators.end_session(session)
        >>> operators.has_session(session)
        False
    """

    def __init__(self, hashes: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._hashes, self._clock = parse_hashes(hashes), clock
        self._ends: dict[bytes, float] = {}

    def begin_session(self, key: str) -> str | None:
        """Return the token of a new session; None if the key is wrong."""
        digest = bytes.fromhex(hash_key(key))
        equal = [hmac.compare_digest(digest, known) for known in self._hashes]
        if not any(equal):
            return None
        token = secrets.token_urlsafe(32)
        now = self._clock()
        self._ends = {name: end for name, end in self._ends.items() if end > now}
        while len(self._ends) >= _MAX_SESSIONS:
            del self._ends[next(iter(self._ends))]
        self._ends[_hash(token)] = now + SESSION_SECONDS
        return token

    def has_session(self, token: str | None) -> bool:
        """Return whether a token is that of a session that has not ended."""
        return token is not None and self._ends.get(_hash(token), -1.0) > self._clock()

    def end_session(self, token: str | None) -> None:
        """End a session, if there is one."""
        if token is not None:
            self._ends.pop(_hash(token), None)

    def accepts(self, authorization: Sequence[bytes]) -> bool:
        """Return whether the headers `Authorization` of a request have a key."""
        return bool(self._hashes) and is_authorised(authorization, self._hashes)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
