"""The retry calendar: the retries due in each minute of the next hour, and bursts among them."""

from collections import Counter, defaultdict
from statistics import median

from failaware.engine import Reader
from failaware.model.patterns import Burst, DueCluster, DueType, RetrySchedule

MINUTE = 60_000_000
"""One minute in µs: the resolution of the calendar."""

MINUTES = 60
BURST_LEAST, BURST_TIMES, AROUND = 10, 4, 10
"""A burst has at least BURST_LEAST retries, and BURST_TIMES the median of the AROUND nearest minutes."""

# Reads the index of due events for each type, which skips events that are due later.
_DUE = """
  SELECT d.event_type, d.minute, p.cluster_id, d.events
    FROM (SELECT s.event_type, CASE WHEN s.due_at <= :now THEN -1 ELSE s.due_at / :minute - :first END AS minute,
                 s.part_id, count(*) AS events
            FROM (SELECT DISTINCT event_type FROM stored_counts WHERE sync_status = 'FAILED' AND dismissed = 0) t
           CROSS JOIN stored_state s
           WHERE s.event_type = t.event_type AND s.due_at IS NOT NULL AND s.due_at < :until AND s.sync_status = 'FAILED'
           GROUP BY 1, 2, 3) AS d
    JOIN cluster_part p ON p.part_id = d.part_id
"""
_STATES = "SELECT sync_status, event_type, sum(events) FROM event_counts WHERE dismissed = 0 GROUP BY 1, 2"


def calendar(db: Reader, *, now: int) -> RetrySchedule:
    """The retries due at `now` and in the sixty minutes that begin with the one that `now` is in."""
    first = now // MINUTE
    with db.snapshot():
        due = db.query(_DUE, {"now": now, "minute": MINUTE, "first": first, "until": (first + MINUTES) * MINUTE})
        states = db.query(_STATES)
        counts: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (MINUTES + 1))
        sources: defaultdict[tuple[str, int], Counter[int]] = defaultdict(Counter)
        for event_type, minute, cluster_id, events in due:
            counts[event_type][minute] += events  # overdue is minute -1: the last item
            sources[event_type, minute][cluster_id] += events
        types, bursts = [], []
        for event_type, failed in sorted((name, events) for state, name, events in states if state == "FAILED"):
            *minutes, overdue = counts[event_type]
            types.append(DueType(event_type, overdue, tuple(minutes), failed - sum(minutes) - overdue))
            bursts += [
                Burst(event_type, (first + at) * MINUTE, minutes[at], usual, _clusters(db, sources[event_type, at]))
                for at, usual in bursts_in(minutes)
            ]
    pending = sum(events for state, _, events in states if state == "PENDING")
    types.sort(key=lambda due: -due.overdue - sum(due.minutes))
    return RetrySchedule(
        now, first * MINUTE, pending, tuple(types), tuple(sorted(bursts, key=lambda burst: burst.minute_at))
    )


def bursts_in(minutes: list[int]) -> list[tuple[int, float]]:
    """The minutes that are bursts, each with the median of the nearest minutes."""
    bursts = []
    for at, retries in enumerate(minutes):
        start = min(max(at - AROUND // 2, 0), len(minutes) - AROUND - 1)
        around = minutes[start:at] + minutes[at + 1 : start + AROUND + 1]
        usual = median(around)
        if retries >= BURST_LEAST and retries >= BURST_TIMES * usual:
            bursts.append((at, usual))
    return bursts


def _clusters(db: Reader, sources: Counter[int]) -> tuple[DueCluster, ...]:
    """The clusters of the retries, most retries first."""
    names = ", ".join(str(cluster_id) for cluster_id in sources)
    rows = db.query(f"SELECT cluster_id, error_type, template FROM failure_cluster WHERE cluster_id IN ({names})")
    known = {cluster_id: (error_type, template) for cluster_id, error_type, template in rows}
    most_first = sorted(sources.items(), key=lambda source: (-source[1], source[0]))
    return tuple(DueCluster(cluster_id, *known[cluster_id], events) for cluster_id, events in most_first)
