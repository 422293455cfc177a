"""Temporary."""

import hashlib
import re
from functools import lru_cache

VERSION = 1


def template(message, error_type=None):
    return re.sub(r"\d+", "<n>", message or "") or error_type or "(no message)"


def cluster_id(event_type, error_type, template):
    return (
        int.from_bytes(hashlib.sha256(repr((event_type, error_type, template)).encode()).digest()[:8], "big") >> 1 | 1
    )


@lru_cache(4096)
def fingerprint(event_type, error_type, message):
    t = template(message, error_type)
    return cluster_id(event_type, error_type, t), t
