"""Health: the number of events in each state, from counts, and the oldest and most retried ones."""

from collections import Counter

from failaware.derive.stored_version import derivation
from failaware.engine import Reader
from failaware.model import EventRef, Health, Severity, SyncStatus

_COUNTS = """
  SELECT event_type, sync_status, dismissed, CASE cluster_id WHEN 0 THEN 0 ELSE 1 END AS failed, sum(events)
    FROM stored_counts GROUP BY 1, 2, 3, 4
"""
# A lease with begun = 2 belongs to `exec` or a task queue, which do not attempt other events.
_LEASED = """
  SELECT s.event_type, CASE s.cluster_id WHEN 0 THEN 0 ELSE 1 END AS failed,
         sum(CASE WHEN s.sync_status = 'PENDING' AND s.dismissed = 0 THEN 1 ELSE 0 END),
         sum(CASE WHEN l.leased_until >= :now AND l.begun < 2 THEN 1 ELSE 0 END)
    FROM lease l JOIN event_state s ON s.event_id = l.event_id GROUP BY 1, 2
"""
_DUE = """
  SELECT t.event_type, t.waiting, 0 AS unstored,
         (SELECT count(*)
            FROM (SELECT 1 FROM stored_state s
                   WHERE s.event_type = t.event_type AND s.due_at IS NOT NULL AND s.due_at <= :now
                  UNION ALL
                  SELECT 1 FROM stored_unattempted n
                   WHERE n.event_type = t.event_type AND n.detected_at <= :now LIMIT :few) AS due),
         (SELECT min(at)
            FROM (SELECT min(s.due_at) AS at
                    FROM stored_state s WHERE s.event_type = t.event_type AND s.due_at IS NOT NULL
                  UNION ALL
                  SELECT min(n.detected_at) FROM stored_unattempted n
                   WHERE n.event_type = t.event_type AND n.detected_at IS NOT NULL) AS first)
    FROM (SELECT event_type, sum(events) AS waiting FROM stored_counts
           WHERE sync_status IN ('PENDING', 'FAILED') AND dismissed = 0 GROUP BY event_type) AS t
  UNION ALL
  SELECT event_type, count(*), count(*), sum(CASE WHEN detected_at <= :now THEN 1 ELSE 0 END), min(detected_at)
    FROM unstored_event GROUP BY event_type
"""
_LATER = """
  SELECT (SELECT count(*) FROM stored_state WHERE event_type = :type AND due_at IS NOT NULL AND due_at > :now)
         + (SELECT count(*) FROM stored_unattempted WHERE event_type = :type AND detected_at > :now)
"""
_FEW = 500  # count due events of a type up to this many; above it, count those that are not due
_FIRST_DUE = """
  SELECT min(event_id)
    FROM (SELECT event_id FROM stored_state WHERE event_type = :type AND due_at IS NOT NULL AND due_at = :at
          UNION ALL
          SELECT event_id FROM unattempted_event WHERE event_type = :type AND detected_at = :at) AS due
"""
_OLDEST = " UNION ALL ".join(
    f"""
  SELECT * FROM (SELECT event_id, event_type, failing_since FROM stored_state
                  WHERE severity = '{level.value}' AND failing_since IS NOT NULL
                  ORDER BY failing_since, event_id LIMIT 1) AS of_{level.value}"""
    for level in Severity
)
_MOST_RETRIED = (
    "SELECT event_id, event_type, retry_count FROM stored_state WHERE retry_count > 0 "
    "ORDER BY retry_count DESC, event_id DESC LIMIT 1"
)
_OTHERS = """
  SELECT (SELECT count(*) FROM lease),
         (SELECT CASE WHEN EXISTS (SELECT 1 FROM setting WHERE name IN ('archive', 'as of'))  -- their ids have gaps
                      THEN (SELECT count(*) FROM reject_log)
                      ELSE newest - (SELECT coalesce(sum(last_id - first_id + 1), 0) FROM moved_log
                                      WHERE of_table = 'reject_log' AND last_id < newest) END
            FROM (SELECT coalesce(max(reject_id), 0) AS newest FROM reject_log) AS reject),
         (SELECT max(at)
            FROM (SELECT max(at) AS at
                    FROM (SELECT detected_at AS at FROM event_log ORDER BY event_id DESC LIMIT 1) AS event
                  UNION ALL
                  SELECT max(at)
                    FROM (SELECT finished_at AS at FROM attempt_log ORDER BY attempt_id DESC LIMIT 1) AS attempt
                  UNION ALL
                  SELECT max(at)
                    FROM (SELECT decided_at AS at FROM decision_log ORDER BY decision_id DESC LIMIT 1) AS decision
                 ) AS fact),
         (SELECT coalesce(sum(events), 0) FROM archive_log  -- an archive lists itself
           WHERE NOT EXISTS (SELECT 1 FROM {store}setting WHERE name = 'archive'))
"""


def health(db: Reader, *, now: int) -> Health:
    """The state of the store at `now` (µs). Uses few queries, since each is a network round trip."""
    with db.snapshot():
        counts = dict.fromkeys((*SyncStatus, "DISMISSED"), 0)
        pending: tuple[Counter[str], Counter[str]] = Counter(), Counter()  # never failed, and requeued
        for event_type, status, dismissed, failed, events in db.query(_COUNTS):
            counts["DISMISSED" if dismissed else status] += events
            if status == "PENDING" and not dismissed:
                pending[failed][event_type] += events
        due_now, next_due, unstored = _due(db, now)
        pending[0].update(unstored)
        counts["PENDING"] += unstored.total()
        running, rejects, last_fact_at, archived = db.query(_OTHERS.format(store=db.dialect.store))[0]
        state, derived_by = derivation(db)
        attended = set()
        for event_type, failed, leased, by_workers in db.query(_LEASED, {"now": now}) if running else ():
            pending[failed][event_type] -= leased
            if by_workers:
                attended.add(event_type)
        oldest = min(db.query(_OLDEST), key=lambda row: (int(row[2]), int(row[0])), default=None)
        most_retried = db.query(_MOST_RETRIED)
        return Health(
            total_events=sum(counts.values()),
            pending=counts["PENDING"],
            failed=counts["FAILED"],
            dead=counts["DEAD"],
            synced=counts["SYNCED"],
            dismissed=counts["DISMISSED"],
            due_now=due_now,
            running=running,
            next_due=next_due,
            oldest_unresolved=None if oldest is None else EventRef(*oldest),
            most_retried=EventRef(*most_retried[0]) if most_retried else None,
            waiting=_most_first(pending[0]),
            rejects=rejects,
            last_fact_at=last_fact_at,
            derivation=state,
            derived_by=derived_by,
            archived=archived,
            requeued=_most_first(pending[1]),
            attended=tuple(sorted(attended)),
        )


def _most_first(events: Counter[str]) -> tuple[tuple[str, int], ...]:
    """The event types with a count above 0, highest count first."""
    return tuple(sorted((+events).items(), key=lambda of: (-of[1], of[0])))


def _due(db: Reader, now: int) -> tuple[int, EventRef | None, Counter[str]]:
    """The number of due events, the next due one, and the events of each type that stored_counts lacks.

    Rows are counted only up to a limit, since a backlog is long.
    """
    due_now, firsts, unstored = 0, [], Counter[str]()
    for event_type, waiting, newest, due, first_at in db.query(_DUE, {"now": now, "few": _FEW}):
        is_counted = newest > 0 or due < _FEW
        due_now += due if is_counted else waiting - int(db.query(_LATER, {"type": event_type, "now": now})[0][0])
        unstored[event_type] += newest
        if first_at is not None:
            firsts.append((first_at, event_type))
    if not firsts:
        return due_now, None, unstored
    at, event_type = min(firsts)
    first = EventRef(db.query(_FIRST_DUE, {"type": event_type, "at": at})[0][0], event_type, at)
    return due_now, first, unstored
