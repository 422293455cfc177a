"""The values that a filter's fields are usually asked for: what both faces complete. Pure."""

_VALUES: dict[str, tuple[str, ...]] = {
    "status": ("UNRESOLVED", "DEAD", "FAILED", "PENDING", "SYNCED", "DISMISSED"),
    "severity": ("CRITICAL", "HIGH", "HIGH+", "MEDIUM", "MEDIUM+", "LOW"),
    "since": ("1h", "24h", "7d", "today", "yesterday"),
    "until": ("1h", "24h", "today", "yesterday"),
}
_OF_CLUSTERS = _VALUES | {"status": ("UNRESOLVED", "RESOLVED", "DEAD", "FAILED")}


def values(field: str, *, clusters: bool) -> tuple[str, ...]:
    """The values of a field, of clusters or of events; none where they are not known beforehand."""
    return (_OF_CLUSTERS if clusters else _VALUES).get(field, ())
