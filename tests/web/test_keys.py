"""API keys."""

import pytest

from roi_ray.errors import UsageError
from roi_ray.web.keys import hash_key, is_authorised, parse_hashes

HASHES = parse_hashes([hash_key("first"), hash_key("zweiter Schlüssel").upper()])


@pytest.mark.parametrize(
    "authorization",
    [b"Bearer first", b"bearer first", b"Bearer  first ", "Bearer zweiter Schlüssel".encode()],
)
def test_each_configured_key_opens(authorization) -> None:
    assert is_authorised([authorization], HASHES)


@pytest.mark.parametrize(
    "authorization",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [b"Bearer firs"],
        [b"Bearer firstfirst"],
        [b"Basic first"],
        [b"first"],
        [b"Bearer first", b"Bearer first"],
        [b"Bearer \xff\xfe\x00"],
        [f"Bearer {hash_key('first')}".encode()],
    ],
)
def test_everything_else_is_refused(authorization) -> None:
    assert not is_authorised(authorization, HASHES)


def test_service_without_keys_is_open() -> None:
    assert is_authorised([], ())


@pytest.mark.parametrize("text", ["", "secret", "ab" * 31, "ab" * 33, "zz" * 32])
def test_hash_that_is_none_is_a_usage_error_that_does_not_repeat_it(text) -> None:
    with pytest.raises(UsageError, match="API key 2: this is not the SHA-256") as caught:
        parse_hashes([hash_key("a"), text])
    assert not text or text not in str(caught.value)
