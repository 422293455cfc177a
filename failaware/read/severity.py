"""Severity: how many entities stand at each level, from the event_counts and the clusters."""

from failaware.engine import Reader
from failaware.engine.base import Parameters
from failaware.model import Severity, SeverityCounts


def counts(db: Reader) -> SeverityCounts:
    """Unresolved events and clusters by severity."""
    with db.snapshot():
        return together(
            by_level(db, "SELECT severity, sum(events) FROM event_counts WHERE severity <> '' GROUP BY 1"),
            by_level(db, "SELECT severity, count(*) FROM failure_cluster WHERE severity IS NOT NULL GROUP BY 1"),
        )


def by_level(db: Reader, sql: str, parameters: Parameters = ()) -> dict[str, int]:
    """What a query counts at each level, the worst first; where it counts none, 0."""
    found = {str(level): int(number) for level, number in db.query(sql, parameters)}
    return {level.value: found.get(level.value, 0) for level in reversed(Severity)}


def together(events: dict[str, int], clusters: dict[str, int]) -> SeverityCounts:
    """Both, and their sums."""
    both = {level: events[level] + clusters[level] for level in events}
    return SeverityCounts(**both, events=events, clusters=clusters)
