"""Keyed digests of texts."""

import hashlib
import hmac

import pytest

from failaware.digest import keyed_digest


@pytest.mark.parametrize("key", [b"", b"k", b"k" * 32, b"k" * 64, b"k" * 65])
@pytest.mark.parametrize("content", [b"", b"a text", b"x" * 1_000])
def test_a_keyed_digest_is_hmac_sha_256(key, content):
    for _ in range(2):  # what is kept of a key does not change
        assert keyed_digest(key, content) == hmac.digest(key, content, "sha256")


def test_without_a_key_it_is_sha_256():
    assert keyed_digest(None, b"a text") == hashlib.sha256(b"a text").digest()
