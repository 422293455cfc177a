"""Severity: how many entities stand at each level, from the tally and the clusters."""

from failaware.engine import Reader
from failaware.model import Severity, SeverityCounts


def counts(db: Reader) -> SeverityCounts:
    """Unresolved events and clusters by severity."""
    with db.snapshot():
        events = _by_level(db, "SELECT severity, sum(events) FROM tally WHERE severity <> '' GROUP BY 1")
        clusters = _by_level(db, "SELECT severity, count(*) FROM failure_cluster WHERE severity IS NOT NULL GROUP BY 1")
    both = {level: events[level] + clusters[level] for level in events}
    return SeverityCounts(**both, events=events, clusters=clusters)


def _by_level(db: Reader, sql: str) -> dict[str, int]:
    found = {str(level): int(number) for level, number in db.query(sql)}
    return {level.value: found.get(level.value, 0) for level in reversed(Severity)}
