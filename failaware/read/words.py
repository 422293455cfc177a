"""Common values of filter fields, for completion in the CLI and the inspector."""

_VALUES: dict[str, tuple[str, ...]] = {
    "status": ("UNRESOLVED", "DEAD", "FAILED", "PENDING", "SYNCED", "DISMISSED"),
    "severity": ("CRITICAL", "HIGH", "HIGH+", "MEDIUM", "MEDIUM+", "LOW"),
    "since": ("1h", "24h", "7d", "today", "yesterday"),
    "until": ("1h", "24h", "today", "yesterday"),
}
_OF_CLUSTERS = _VALUES | {"status": ("UNRESOLVED", "RESOLVED", "DEAD", "FAILED")}


def values(field: str, *, clusters: bool) -> tuple[str, ...]:
    """The values of a field of clusters or events; empty for fields with arbitrary values."""
    return (_OF_CLUSTERS if clusters else _VALUES).get(field, ())
