"""Events: a filtered page, one event in detail, and attempts."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from failaware.engine import Reader, Row
from failaware.errors import NotFound
from failaware.model import ERROR_HERE, Attempt, Decision, EventDetail, EventSummary
from failaware.read.clusters import id_in_filter, parts_of
from failaware.read.filter import EVENT_FIELDS, EVENT_WALKS, Condition, Order, WalksOf, parse

_JOINS = """
    LEFT JOIN event_log e ON e.event_id = s.event_id
    LEFT JOIN attempt_log a ON a.attempt_id = s.last_failure"""
_SUMMARY = """
  SELECT s.event_id, s.event_type, s.sync_status, s.dismissed, s.retry_count, s.attempts, s.severity, s.rule,
         CASE s.cluster_id WHEN 0 THEN NULL ELSE s.cluster_id END, a.error_type, a.error_message, s.source,
         s.occurred_at, s.detected_at, s.first_failed_at, s.last_failed_at, s.due_at
"""
_COUNTS = """(
  SELECT event_type, sync_status, dismissed, cluster_id, nullif(severity, '') AS severity, events
    FROM event_counts) s
"""
_COUNTED_FIELDS = {"status", "type", "severity", "last"}
"""The fields of a filter whose matches are counted already, in event_counts."""
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
         a.started_at, a.finished_at, a.retry_at, a.retry_reason, p.cluster_id, a.cause, a.fingerprint
    FROM attempt_log a
    LEFT JOIN traceback_log t ON t.traceback_id = a.traceback
    LEFT JOIN stored_failure f ON f.attempt_id = a.attempt_id
    LEFT JOIN cluster_part p ON p.part_id = f.part_id
"""


def page(
    db: Reader, where: str, *, now: int, limit: int, before: int | None, order: Order = "newest", skip: int = 0
) -> list[EventSummary]:
    """The events that match a filter; `before` is the last event_id of the previous page."""
    condition, direction = _condition(db, where, now), _ORDERS[order]
    beyond = "" if before is None else f"{'<' if order == 'newest' else '>'} :before"
    page_sql = db.dialect.merged(_selects(condition, beyond), f"event_id {direction}", ":page_end")
    rows = db.query(
        f"{_SUMMARY} FROM ({page_sql} LIMIT :limit OFFSET :skip) AS page "
        f"CROSS JOIN event_state s LEFT JOIN attempt_log a ON a.attempt_id = s.last_failure "
        f"WHERE s.event_id = page.event_id ORDER BY page.event_id {direction}",
        {**condition.parameters, "limit": limit, "before": before, "skip": skip, "page_end": limit + skip},
    )
    return [EventSummary(*_with_bool(row, 3)) for row in rows]


def count(db: Reader, where: str, *, now: int, at_most: int) -> int:
    """The number of events that match a filter, counted up to `at_most`."""
    condition = _condition(db, where, now, walks={})
    if condition.fields <= _COUNTED_FIELDS:
        rows = db.query(f"SELECT coalesce(sum(events), 0) FROM {_COUNTS} WHERE {condition.sql}", condition.parameters)
        return min(int(rows[0][0]), at_most)
    condition = _condition(db, where, now)
    matches = " UNION ALL ".join(_selects(condition))
    rows = db.query(
        f"SELECT count(*) FROM ({matches} LIMIT :at_most) AS matches", {**condition.parameters, "at_most": at_most}
    )
    return int(rows[0][0])


def _condition(db: Reader, where: str, now: int, *, walks: Mapping[str, WalksOf] = EVENT_WALKS) -> Condition:
    return parse(
        where,
        EVENT_FIELDS,
        now=now,
        cluster=lambda digits: id_in_filter(db, digits),
        walks=walks,
        parts=partial(parts_of, db),
    )


def _selects(condition: Condition, beyond: str = "") -> list[str]:
    """A SELECT of the matching events for each walk; `beyond` compares their ids."""
    joins = _JOINS if condition.fields else ""
    return [
        f"SELECT {walk.event_id} AS event_id FROM {walk.source} {joins} WHERE {walk.condition} AND {condition.sql}"
        + (f" AND {walk.event_id} {beyond}" if beyond else "")
        for walk in condition.walks
    ]


def one(db: Reader, event_id: int) -> EventDetail:
    """One event with all its attempts and decisions, or NotFound."""
    with db.snapshot():
        rows = db.query(_DETAIL, (event_id,))
        if not rows:
            raise NotFound(f"there is no event {event_id}; 'failaware events' lists them")
        (row,) = rows
        # A separate query: in a join, SQLite would compute this view for all events.
        reasons = db.query(
            "SELECT reason FROM failure_severity WHERE entity_type = 'event' AND entity_id = ?", (event_id,)
        )
        reason = reasons[0][0] if reasons else None
        decision_rows = db.query(
            "SELECT decision_id, event_id, decision, decided_by, reason, decided_at FROM decision_log "
            "WHERE event_id = ? ORDER BY decision_id",
            (event_id,),
        )
        event_attempts = attempts(db, event_id)
    decisions = tuple(Decision(*decision) for decision in decision_rows)
    return EventDetail(*_with_bool((*row, reason, tuple(event_attempts), decisions), 8))


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
