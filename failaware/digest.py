"""Keyed digests of texts: without the store's key, a short text cannot be found by guessing.

Each store has a random key in its `setting` table, generated when the store is created. A store that was created before
there were keys has none, and its digests are unkeyed. Pure; imports nothing of failaware.
"""

import hashlib
import hmac


def keyed_digest(key: bytes | None, content: bytes) -> bytes:
    """Return the HMAC-SHA-256 of the content under a store's key, or SHA-256 if it has no key; 32 bytes."""
    return hashlib.sha256(content).digest() if key is None else hmac.digest(key, content, "sha256")
