"""The number of unresolved events and clusters at each severity."""

from failaware.engine import Reader
from failaware.engine.base import Parameters
from failaware.model import Severity, SeverityCounts


def counts(db: Reader) -> SeverityCounts:
    """Unresolved events and clusters by severity."""
    with db.snapshot():
        return with_sums(
            by_level(db, "SELECT severity, sum(events) FROM stored_counts WHERE severity <> '' GROUP BY 1"),
            by_level(db, "SELECT severity, count(*) FROM failure_cluster WHERE severity IS NOT NULL GROUP BY 1"),
        )


def by_level(db: Reader, sql: str, parameters: Parameters = ()) -> dict[str, int]:
    """The counts of a query per severity, worst first; 0 where it has no row."""
    by_name = {str(level): int(number) for level, number in db.query(sql, parameters)}
    return {level.value: by_name.get(level.value, 0) for level in reversed(Severity)}


def with_sums(events: dict[str, int], clusters: dict[str, int]) -> SeverityCounts:
    """The counts of events and clusters, and their sums."""
    both = {level: events[level] + clusters[level] for level in events}
    return SeverityCounts(**both, events=events, clusters=clusters)
