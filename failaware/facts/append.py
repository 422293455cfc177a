"""Append facts and fold exactly what was appended. Each function runs inside one transaction of a Writer."""

import hashlib
import json
from collections.abc import Iterable, Sequence

from failaware.derive.fold import fold, just_appended
from failaware.derive.rules import Policy
from failaware.engine import Reader, Writer
from failaware.errors import NotFound, UsageError
from failaware.facts import claim
from failaware.model import DecisionKind, Event, NewAttempt, NewEvent, NewReject, Observed

_EVENT = (
    "INSERT INTO event_log (event_id, event_type, source, event_payload, occurred_at, detected_at, fingerprint) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_KEY = "INSERT INTO event_key (key, event_id) VALUES (?, ?)"
_ATTEMPT = (
    "INSERT INTO attempt_log (attempt_id, event_id, attempt_no, outcome, error_type, error_message, traceback, worker, "
    "started_at, finished_at, retry_at, because, cause, fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_DECISION = (
    "INSERT INTO decision_log (decision_id, event_id, decision, after_attempt, decided_by, reason, decided_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_REJECT = "INSERT INTO reject_log (origin, line_no, raw, error, rejected_at) VALUES (?, ?, ?, ?, ?)"


def events(db: Writer, new: Sequence[NewEvent], policy: Policy) -> list[tuple[int, bool]]:
    """Append events; returns (event_id, known) for each. A key that is known gives its first event and adds nothing."""
    first = event_id = _next_id(db, "event_log", "event_id")
    by_key: dict[str, int] = {}
    ids: list[tuple[int, bool]] = []
    rows, keys = [], []
    for event in new:
        if event.key is not None:
            known = by_key.get(event.key) or _event_of_key(db, event.key)
            if known is not None:
                ids.append((known, True))
                continue
            by_key[event.key] = event_id
            keys.append((event.key, event_id))
        rows.append(
            (event_id, event.event_type, event.source, event.payload_json)
            + (event.occurred_at, event.detected_at, event.fingerprint)
        )
        ids.append((event_id, False))
        event_id += 1
    if rows:
        db.execute_many(_EVENT, rows)
        if keys:
            db.execute_many(_KEY, keys)
        fold(db, just_appended(events=(first, event_id - 1)), policy)
    return ids


def attempts(db: Writer, new: Sequence[NewAttempt], policy: Policy) -> None:
    """Append attempts, numbered after the last one of their event or as they say, and end the leases they held."""
    if not new:
        return
    first = attempt_id = _next_id(db, "attempt_log", "attempt_id")
    numbers: dict[int, int] = {}
    taken: set[tuple[int, int]] = set()
    rows = []
    for attempt in new:
        event_id, failure = attempt.event_id, attempt.failure
        last = numbers.get(event_id) or _attempts_of(db, event_id)
        number = attempt.number or last + 1
        if (event_id, number) in taken or (number <= last and _is_taken(db, event_id, number)):
            number = last + 1
        taken.add((event_id, number))
        numbers[event_id] = max(last, number)
        error = (
            ("SYNCED", None, None, None)
            if failure is None
            else ("FAILED", failure.error_type, failure.error_message, _traceback(db, failure.traceback))
        )
        rows.append(
            (attempt_id, event_id, number, *error, attempt.worker, attempt.started_at, attempt.finished_at)
            + (attempt.retry_at, attempt.because)
            + ((None, None) if failure is None else (failure.cause, failure.fingerprint))
        )
        attempt_id += 1
    db.execute_many(_ATTEMPT, rows)
    db.execute_many("DELETE FROM lease WHERE event_id = ? AND leased_by = ?", [(a.event_id, a.worker) for a in new])
    fold(db, just_appended(attempts=(first, attempt_id - 1)), policy)


def observed(db: Writer, new: Sequence[Observed], policy: Policy, *, at_known: bool = False) -> list[tuple[int, bool]]:
    """Append events with the attempts that others made at them; returns what `events` does.

    Attempts at an event whose key was known are left out: they were appended with it. With `at_known` they are further
    ones, and appended.
    """
    ids = events(db, [event for event, _ in new], policy)
    tried = [
        attempt._replace(event_id=event_id)
        for (event_id, known), (_, made) in zip(ids, new, strict=True)
        for attempt in made
        if at_known or not known
    ]
    attempts(db, tried, policy)
    return ids


def decisions(
    db: Writer, kind: DecisionKind, event_ids: Sequence[int], *, by: str, reason: str, now: int, policy: Policy
) -> None:
    """Append the same decision for each event.

    Raises:
        NotFound: there is no such event.
        UsageError: an event is SYNCED, so that there is nothing to decide; or to be requeued but not tried yet.
    """
    first = _next_id(db, "decision_log", "decision_id")
    rows = []
    for decision_id, event_id in enumerate(event_ids, start=first):
        state = db.query("SELECT sync_status, dismissed, attempts FROM event_state WHERE event_id = ?", (event_id,))
        if not state:
            raise NotFound(f"there is no event {event_id}; 'failaware events' lists them")
        status, dismissed, tried = state[0]
        _must_make_sense(kind, event_id, status, dismissed=bool(dismissed))
        rows.append((decision_id, event_id, kind.value, tried, by, reason, now))
    if rows:
        db.execute_many(_DECISION, rows)
        for event_id in event_ids:
            claim.give_back(db, event_id)  # from the task queue that would have tried it again
        fold(db, just_appended(decisions=(first, first + len(rows) - 1)), policy)


def _must_make_sense(kind: DecisionKind, event_id: int, status: str, *, dismissed: bool) -> None:
    if status == "SYNCED":
        raise UsageError(f"event {event_id} is SYNCED; there is nothing to {kind.value.lower()}")
    if kind is DecisionKind.REQUEUE and status == "PENDING" and not dismissed:
        raise UsageError(f"event {event_id} is PENDING already; 'failaware run' will try it")
    if kind is DecisionKind.DISMISS and dismissed:
        raise UsageError(f"event {event_id} is dismissed already; 'failaware event {event_id}' says by whom")


def recorded(db: Reader, event_id: int) -> Event:
    """The event as it was first recorded under a key."""
    ((event_type, payload, key, source, occurred_at, detected_at),) = db.query(
        "SELECT e.event_type, e.event_payload, k.key, e.source, e.occurred_at, e.detected_at "
        "FROM event_log e LEFT JOIN event_key k ON k.event_id = e.event_id WHERE e.event_id = ?",
        (event_id,),
    )
    return Event(event_id, event_type, json.loads(payload), key, source, occurred_at, detected_at, known=True)


def rejects(db: Writer, new: Iterable[NewReject]) -> None:
    """Keep what could not be understood, with the reason."""
    db.execute_many(_REJECT, [(r.origin, r.line_no, r.raw, r.error, r.rejected_at) for r in new])


def _next_id(db: Writer, table: str, column: str) -> int:
    """The id after the newest: within the write lock nobody else appends, and nothing is ever deleted."""
    return int(db.query(f"SELECT coalesce(max({column}), 0) + 1 FROM {table}")[0][0])


def _event_of_key(db: Writer, key: str) -> int | None:
    rows = db.query("SELECT event_id FROM event_key WHERE key = ?", (key,))
    return int(rows[0][0]) if rows else None


def _attempts_of(db: Writer, event_id: int) -> int:
    rows = db.query("SELECT attempts FROM event_state WHERE event_id = ?", (event_id,))
    if not rows:
        raise NotFound(f"there is no event {event_id}; record it first")
    return int(rows[0][0])


def _is_taken(db: Writer, event_id: int, number: int) -> bool:
    return bool(db.query("SELECT 1 FROM attempt_log WHERE event_id = ? AND attempt_no = ?", (event_id, number)))


def _traceback(db: Writer, text: str | None) -> int | None:
    """The id of a traceback's one row, which is made when it is new."""
    if text is None:
        return None
    digest = hashlib.sha256(text.encode()).hexdigest()
    rows = db.query("SELECT traceback_id FROM traceback_log WHERE hash = ?", (digest,))
    if not rows:
        rows = db.query("INSERT INTO traceback_log (hash, text) VALUES (?, ?) RETURNING traceback_id", (digest, text))
    return int(rows[0][0])
