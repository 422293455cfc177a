"""Digests of texts: under the key of the store, so that nobody without the store can find a short text by guessing.

Each store has a random key, which is made with it and kept in its `setting` table. A store that was made before there
were keys has none, and keeps its digests without. Pure; imports nothing of ours.
"""

import hashlib
import hmac


def keyed_digest(key: bytes | None, content: bytes) -> bytes:
    """HMAC-SHA-256 of the content under a store's key; plain SHA-256 where the store has no key. 32 bytes."""
    return hashlib.sha256(content).digest() if key is None else hmac.digest(key, content, "sha256")
