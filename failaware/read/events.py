"""Events: a filtered page of them, one with all that is known of it, and attempts."""

from typing import Any

from failaware.engine import Reader, Row
from failaware.errors import NotFound
from failaware.model import ERROR_HERE, Attempt, Decision, EventDetail, EventSummary
from failaware.read.clusters import meant
from failaware.read.filter import EVENT_FIELDS, EVENT_LEADS, Condition, Order, parse

_JOINS = """
    LEFT JOIN event_log e ON e.event_id = s.event_id
    LEFT JOIN attempt_log a ON a.attempt_id = s.last_failure"""
_SUMMARY = """
  SELECT s.event_id, s.event_type, s.sync_status, s.dismissed, s.retry_count, s.attempts, s.severity, s.rule,
         CASE s.cluster_id WHEN 0 THEN NULL ELSE s.cluster_id END, a.error_type, a.error_message, e.source,
         e.occurred_at, e.detected_at, s.first_failed_at, s.last_failed_at, s.due_at
"""
_ORDERS = {"newest": "DESC", "oldest": "ASC"}

_DETAIL = """
  SELECT e.event_id, e.event_type, k.key, e.source, e.event_payload, e.occurred_at, e.detected_at, s.sync_status,
         s.dismissed, s.retry_count, s.due_at, l.leased_by, l.leased_until,
         CASE s.cluster_id WHEN 0 THEN NULL ELSE s.cluster_id END, s.severity, s.rule
    FROM event_log e
    JOIN event_state s ON s.event_id = e.event_id
    LEFT JOIN event_key k ON k.event_id = e.event_id
    LEFT JOIN lease l ON l.event_id = e.event_id
   WHERE e.event_id = ?
"""
_ATTEMPT = f"""
  SELECT a.attempt_id, a.event_id, a.attempt_no, a.outcome, a.error_type, a.error_message,
         replace(t.text, '{ERROR_HERE}',
                 a.error_type || CASE a.error_message WHEN '' THEN '' ELSE ': ' || a.error_message END),
         a.worker,
         a.started_at, a.finished_at, a.retry_at, a.retry_reason, f.cluster_id, a.cause, a.fingerprint
    FROM attempt_log a
    LEFT JOIN traceback_log t ON t.traceback_id = a.traceback
    LEFT JOIN failure f ON f.attempt_id = a.attempt_id
"""


def page(
    db: Reader, where: str, *, now: int, limit: int, before: int | None, order: Order = "newest", skip: int = 0
) -> list[EventSummary]:
    """The events that a filter lets through; `before` is the last event_id of the page before."""
    condition, direction = _condition(db, where, now), _ORDERS[order]
    beyond = "true" if before is None else f"{{event_id}} {'<' if order == 'newest' else '>'} :before"
    walked = [
        f"SELECT {walk.event_id} AS event_id FROM {walk.source} {_JOINS} "
        f"WHERE {walk.which} AND {condition.sql} AND {beyond.format(event_id=walk.event_id)} "
        f"ORDER BY {walk.event_id} {direction}"
        for walk in condition.walks
    ]
    found = walked[0]
    if len(walked) > 1:  # no more of each than the page could need: PostgreSQL would sort all of them
        each = (f"SELECT * FROM ({sql} LIMIT :room) AS walk{number}" for number, sql in enumerate(walked))
        found = f"{' UNION ALL '.join(each)} ORDER BY event_id {direction}"
    rows = db.query(
        f"{_SUMMARY} FROM ({found} LIMIT :limit OFFSET :skip) AS page CROSS JOIN event_state s {_JOINS} "
        f"WHERE s.event_id = page.event_id ORDER BY page.event_id {direction}",
        {**condition.parameters, "limit": limit, "before": before, "skip": skip, "room": limit + skip},
    )
    return [EventSummary(*_with_bool(row, 3)) for row in rows]


def count(db: Reader, where: str, *, now: int, at_most: int) -> int:
    """How many events a filter lets through, counted up to `at_most`."""
    condition = _condition(db, where, now)
    found = " UNION ALL ".join(
        f"SELECT 1 FROM {walk.source} {_JOINS} WHERE {walk.which} AND {condition.sql}" for walk in condition.walks
    )
    rows = db.query(
        f"SELECT count(*) FROM ({found} LIMIT :at_most) AS found", {**condition.parameters, "at_most": at_most}
    )
    return int(rows[0][0])


def _condition(db: Reader, where: str, now: int) -> Condition:
    return parse(where, EVENT_FIELDS, now=now, cluster=lambda digits: meant(db, digits), leads=EVENT_LEADS)


def one(db: Reader, event_id: int) -> EventDetail:
    """One event with everything ever known about it, or NotFound."""
    with db.snapshot():
        rows = db.query(_DETAIL, (event_id,))
        if not rows:
            raise NotFound(f"there is no event {event_id}; 'failaware events' lists them")
        (row,) = rows
        # A query of its own: joined to the rest, SQLite would first compute this view for all events.
        reasons = db.query(
            "SELECT reason FROM failure_severity WHERE entity_type = 'event' AND entity_id = ?", (event_id,)
        )
        reason = reasons[0][0] if reasons else None
        decided = db.query(
            "SELECT decision_id, event_id, decision, decided_by, reason, decided_at FROM decision_log "
            "WHERE event_id = ? ORDER BY decision_id",
            (event_id,),
        )
        tried = attempts(db, event_id)
    decisions = tuple(Decision(*decision) for decision in decided)
    return EventDetail(*_with_bool((*row, reason, tuple(tried), decisions), 8))


def _with_bool(row: Row, position: int) -> list[Any]:
    """The row as a list, with SQL's 0 or 1 at this position as a bool."""
    values = list(row)
    values[position] = bool(values[position])
    return values


def attempts(db: Reader, event_id: int) -> list[Attempt]:
    """Every attempt at an event, in order."""
    return [Attempt(*row) for row in db.query(f"{_ATTEMPT} WHERE a.event_id = ? ORDER BY a.attempt_no", (event_id,))]


def attempt(db: Reader, attempt_id: int) -> Attempt:
    """One attempt, or NotFound."""
    rows = db.query(f"{_ATTEMPT} WHERE a.attempt_id = ?", (attempt_id,))
    if not rows:
        raise NotFound(f"there is no attempt {attempt_id}")
    return Attempt(*rows[0])
