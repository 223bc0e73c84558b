"""Random texts that open a study, and their hashes, which are all that is stored."""

import hashlib
import secrets

_TOKEN_BYTES = 24
_ID_BYTES = 16


def make_token() -> str:
    """Return a new token for a link or a cookie: 192 random bits, 32 URL-safe characters.

    Examples:
        >>> len(make_token())
        32
    """
    return secrets.token_urlsafe(_TOKEN_BYTES)


def make_id() -> str:
    """Return a new id of a rater or an ask: 128 random bits, in hexadecimal.

    Examples:
        >>> len(make_id())
        32
    """
    return secrets.token_hex(_ID_BYTES)


def hash_token(token: str) -> bytes:
    """Return the SHA-256 of a token, 32 bytes. Any text has one, also with lone surrogates.

    Tokens are found by their hash. How long that takes says nothing about stored tokens, because
    nobody can choose the hash.

    Examples:
        >>> hash_token("secret").hex()[:16]
        '2bb80d537b1da3e3'
    """
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
