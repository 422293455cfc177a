"""Health: how many events stand where, from the tally, and what stands out."""

from failaware.engine import Reader
from failaware.model import EventRef, Health, Severity

_COUNTS = "SELECT sync_status, dismissed, sum(events) FROM tally GROUP BY 1, 2"
_TRYING = (
    "SELECT event_type, sum(events) FROM tally WHERE sync_status IN ('PENDING', 'FAILED') AND dismissed = 0 "
    "GROUP BY event_type ORDER BY 1"
)
_NEXT = (
    "SELECT event_id, event_type, due_at FROM event_state "
    "WHERE event_type = ? AND due_at IS NOT NULL ORDER BY due_at, event_id LIMIT 1"
)
_DUE = (
    "SELECT count(*) FROM (SELECT 1 FROM event_state "
    "WHERE event_type = ? AND due_at IS NOT NULL AND due_at <= ? LIMIT ?) AS due"
)
_LATER = "SELECT count(*) FROM event_state WHERE event_type = ? AND due_at IS NOT NULL AND due_at > ?"
_FEW = 1_000
_OLDEST = (
    "SELECT event_id, event_type, first_failed_at FROM event_state "
    "WHERE severity = ? AND first_failed_at IS NOT NULL ORDER BY first_failed_at, event_id LIMIT 1"
)
_MOST_RETRIED = (
    "SELECT event_id, event_type, attempts - 1 FROM event_state WHERE attempts > 1 "
    "ORDER BY attempts DESC, event_id DESC LIMIT 1"
)
_WAITING = (
    "SELECT event_type, sum(events) FROM tally WHERE sync_status = 'PENDING' AND dismissed = 0 "
    "GROUP BY event_type ORDER BY 2 DESC, 1"
)
_FINGERPRINT = "SELECT max(CAST(value AS INTEGER)) FROM setting WHERE name = 'fingerprint'"
_ARCHIVED = (
    "SELECT coalesce(sum(events), 0) FROM archive_log "
    "WHERE NOT EXISTS (SELECT 1 FROM main.setting WHERE name = 'archive')"  # in one, what it says of itself is here
)
_LAST_FACT = """
  SELECT max(at)
    FROM (SELECT max(at) AS at
            FROM (SELECT detected_at AS at FROM event_log ORDER BY event_id DESC LIMIT 1) AS event
          UNION ALL
          SELECT max(at) FROM (SELECT finished_at AS at FROM attempt_log ORDER BY attempt_id DESC LIMIT 1) AS attempt
          UNION ALL
          SELECT max(at) FROM (SELECT decided_at AS at FROM decision_log ORDER BY decision_id DESC LIMIT 1) AS decision
         ) AS fact
"""


def health(db: Reader, *, now: int) -> Health:
    """The state of the store at `now` (µs)."""
    with db.snapshot():
        counts = {"PENDING": 0, "FAILED": 0, "DEAD": 0, "SYNCED": 0, "DISMISSED": 0}
        for status, dismissed, events in db.query(_COUNTS):
            counts["DISMISSED" if dismissed else status] += events
        trying: dict[str, int] = dict(db.query(_TRYING))
        oldest = [row for level in Severity for row in db.query(_OLDEST, (level.value,))]
        return Health(
            total_events=sum(counts.values()),
            pending=counts["PENDING"],
            failed=counts["FAILED"],
            dead=counts["DEAD"],
            synced=counts["SYNCED"],
            dismissed=counts["DISMISSED"],
            due_now=sum(_due_now(db, event_type, waiting, now) for event_type, waiting in trying.items()),
            in_hand=db.query("SELECT count(*) FROM lease")[0][0],
            next_due=_first([row for event_type in trying for row in db.query(_NEXT, (event_type,))]),
            oldest_unresolved=_first(oldest),
            most_retried=_first(db.query(_MOST_RETRIED)),
            waiting=tuple((event_type, events) for event_type, events in db.query(_WAITING)),
            rejects=db.query("SELECT coalesce(max(reject_id), 0) FROM reject_log")[0][0],
            last_fact_at=db.query(_LAST_FACT)[0][0],
            fingerprint_version=db.query(_FINGERPRINT)[0][0],
            archived=db.query(_ARCHIVED)[0][0],
        )


def _due_now(db: Reader, event_type: str, waiting: int, now: int) -> int:
    """How many of the waiting events are due: counted row by row only while they are few, as a backlog is not."""
    due: int = db.query(_DUE, (event_type, now, _FEW))[0][0]
    return due if due < _FEW else waiting - int(db.query(_LATER, (event_type, now))[0][0])


def _first(rows: list[tuple[int, str, int]]) -> EventRef | None:
    """The row with the smallest value."""
    return EventRef(*min(rows, key=lambda row: row[2])) if rows else None
