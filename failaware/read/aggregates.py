"""What a store contributes to the clusters of several stores: clusters, counts, templates, corrections and rules."""

from collections import Counter, defaultdict

from failaware.derive.corrections import in_force
from failaware.derive.settings import stored_rules
from failaware.engine import Reader
from failaware.model import HOUR
from failaware.model.stores import Aggregates, Overlap

CLUSTERS = (
    *("cluster_id", "event_type", "error_type", "template", "failures", "events", "recovered", "episodes", "relapses"),
    *("first_failed_at", "last_failed_at", "example_attempt", "changed_at"),
)
COUNTS = ("event_type", "sync_status", "dismissed", "cluster_id", "severity", "events")
TEMPLATES = ("fingerprint_id", "event_type", "error_type", "cluster_id", "admitted", "variables", "template")
CORRECTIONS = ("decided_at", "correction", "cluster_id", "into_cluster", "split_by")

_SEVERAL = """
  SELECT e.event_id, e.first_failed_at, e.recovered
    FROM cluster_part p JOIN stored_member e ON e.part_id = p.part_id
   WHERE p.cluster_id IN ({}) AND e.several = 1
"""


def aggregates(db: Reader) -> Aggregates:
    """The rows as of one moment."""
    with db.snapshot():
        return Aggregates(
            tuple(map(tuple, db.query(f"SELECT {', '.join(CLUSTERS)} FROM failure_cluster ORDER BY cluster_id"))),
            tuple(map(tuple, db.query(f"SELECT {', '.join(COUNTS)} FROM stored_counts WHERE events > 0"))),
            tuple(map(tuple, db.query(f"SELECT {', '.join(TEMPLATES)} FROM learned_fingerprint ORDER BY 1"))),
            tuple(map(tuple, in_force(db, ", ".join(CORRECTIONS)))),
            dict(stored_rules(db)),
        )


def overlaps(db: Reader, groups: list[list[int]]) -> list[Overlap]:
    """For each group of clusters, what events that failed in several of them add too much."""
    return [_overlap(db, group) for group in groups]


def _overlap(db: Reader, cluster_ids: list[int]) -> Overlap:
    events: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    sql = _SEVERAL.format(", ".join("?" * len(cluster_ids)))
    for event_id, entered_at, recovered in db.query(sql, tuple(cluster_ids)):
        events[event_id].append((entered_at, recovered))
    surplus = recovered = 0
    hours: Counter[int] = Counter()
    for entries in events.values():  # an event entered the joined cluster once, with its first failure
        later = sorted(entries)[1:]
        surplus += len(later)
        recovered += sum(own for _, own in later)
        hours.update(entered_at // HOUR for entered_at, _ in later)
    return Overlap(surplus, recovered, tuple(sorted(hours.items())))


def boundary(db: Reader, table: str, at: int, *, inclusive: bool) -> int:
    """The lowest id whose time is later than `at` (µs), or `inclusive`: not earlier; without any, one above all ids.

    Ids are in the order of their times, except for events recorded at the same time and after a clock was set back.
    """
    key, time = {"event_log": ("event_id", "detected_at"), "reject_log": ("reject_id", "rejected_at")}[table]
    ((last,),) = db.query(f"SELECT coalesce(max({key}), 0) FROM {table}")
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        rows = db.query(f"SELECT {key}, {time} FROM {table} WHERE {key} >= ? ORDER BY {key} LIMIT 1", (middle,))
        if not rows or rows[0][1] > at or (inclusive and rows[0][1] == at):
            high = middle
        else:
            low = rows[0][0] + 1
    return low
