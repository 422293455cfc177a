"""Append facts and fold the appended facts. Each function runs inside one transaction of a Writer."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

from failaware.derive.fold import are_due, fold, fold_first_successes, store_unattempted
from failaware.derive.scope import just_appended
from failaware.derive.settings import load_key
from failaware.digest import keyed_digest
from failaware.engine import KeyTaken, Reader, Row, Writer
from failaware.errors import KeyConflict, NotFound, UsageError
from failaware.facts import claim
from failaware.model import DecisionKind, Event, EventWithAttempts, Failure, NewAttempt, NewEvent, NewReject
from failaware.rules import Policy
from failaware.schema.catalogue import ATTEMPT, EVENT, REJECT, TRACEBACK, FactTable


def _filled(facts: FactTable, names: tuple[str, ...]) -> tuple[list[str], Callable[[Row], Row]]:
    """The columns of a fact table that are among `names`, and a function that picks their values from such a row."""
    columns = [name for name in facts.column_names if name in names]
    return columns, itemgetter(*map(names.index, columns))


_event_row = itemgetter(*(NewEvent._fields.index(column.name) for column in EVENT.columns[1:]))
_ATTEMPT_COLUMNS, _attempt_row = _filled(
    ATTEMPT, ("attempt_id", "attempt_no", "outcome", "traceback", *NewAttempt._fields, *Failure._fields)
)
_AT_ONCE_COLUMNS = ("attempt_id", "event_id", "attempt_no", "outcome", "worker", "started_at", "finished_at")
_LAST_ATTEMPTS = (
    "SELECT e.event_id, s.attempts FROM event_log e LEFT JOIN stored_state s ON s.event_id = e.event_id "
    "WHERE e.event_id IN ({})"
)
_REJECT_COLUMNS, _reject_row = _filled(REJECT, ("reject_id", *NewReject._fields))
_DECISION = ("decision_id", "event_id", "decision", "after_attempt", "decided_by", "reason", "decided_at")
_NO_FAILURE = (None,) * len(Failure._fields)
_STATE = (
    "SELECT sync_status, dismissed, attempts, due_at, EXISTS "
    "(SELECT 1 FROM erasure_log x WHERE x.of_table = 'event_log' AND x.row_id = s.event_id) "
    "FROM event_state s WHERE event_id = ?"
)
_END_LEASES = (
    "DELETE FROM lease WHERE (event_id, leased_by) IN "
    "(SELECT event_id, worker FROM attempt_log WHERE attempt_id BETWEEN ? AND ?)"
)
_BY_KEY = (
    "SELECT k.key, e.event_id, e.event_type FROM event_key k JOIN event_log e ON e.event_id = k.event_id "
    "WHERE k.key IN ({})"
)
_TYPES = "SELECT event_id, event_type FROM event_log WHERE event_id IN ({})"
_MAX_VALUES = 1_024  # in one IN (...)


def record(
    db: Writer, new: Sequence[NewEvent], *, conflicts: dict[int, KeyConflict] | None = None
) -> list[tuple[int, bool]]:
    """Append events; return (event_id, known) for each. A known key returns its first event and appends nothing.

    An event whose key belongs to an event of another type is not appended: the conflict is added to `conflicts` under
    the event's position in `new`.

    Raises:
        KeyConflict: there is such an event, and `conflicts` is None.
    """
    if not new:
        return []
    try:
        ids = db.append_events([_event_row(event) for event in new], refuse=conflicts is None)
    except KeyTaken as taken:
        raise _conflict(*taken.args) from None
    if min(ids) > 0:
        return list(zip(ids, repeat(False)))
    types: dict[int, str] = dict(_for_each(db, _TYPES, [-number for number in ids if number < 0]))
    for position, (number, event) in enumerate(zip(ids, new, strict=True)):
        if number < 0 and types[-number] != event.event_type:
            assert event.key is not None, "only a key is known"
            conflict = _conflict(event.key, event.event_type, -number, types[-number])
            if conflicts is None:
                raise conflict
            conflicts[position] = conflict
    return [(abs(number), number < 0) for number in ids]


def events(
    db: Writer, new: Sequence[NewEvent], *, conflicts: dict[int, KeyConflict] | None = None
) -> list[tuple[int, bool]]:
    """As `record`, in a transaction that also folds."""
    ids = record(db, new, conflicts=conflicts)
    appended = [event_id for event_id, known in ids if not known]
    if are_due(appended):
        store_unattempted(db)
    return ids


def attempts(db: Writer, new: Sequence[NewAttempt], policy: Policy) -> None:
    """Append attempts, numbered after their event's last or as given, and end their workers' leases on the events.

    Attempts that succeeded at once come first: most do, and need the least work.
    """
    if not new:
        return
    last = _last_attempts(db, [attempt.event_id for attempt in new])
    if unknown := [attempt.event_id for attempt in new if attempt.event_id not in last]:
        raise NotFound(f"there is no event {unknown[0]}; record it first")
    first = next_id(db, "attempt_log", "attempt_id")
    at_once, later, failed = _sorted(new, last)
    after, others = first + len(at_once), later + failed
    if at_once:
        rows = [
            (attempt_id, event_id, 1, "SYNCED", worker, started_at, finished_at)
            for attempt_id, (event_id, _, worker, started_at, finished_at, *_) in enumerate(at_once, start=first)
        ]
        db.append("attempt_log", _AT_ONCE_COLUMNS, rows)
        fold_first_successes(db, just_appended(attempts=(first, after - 1)))
    if others:
        rows = _attempt_rows(db, others, last, after)
        for same in filter(None, (rows[: len(later)], rows[len(later) :])):  # most columns are null in a success
            db.append("attempt_log", _ATTEMPT_COLUMNS, same)
        fold(db, just_appended(attempts=(after, first + len(new) - 1)), policy)
    db.execute(_END_LEASES, (first, first + len(new) - 1))


def _sorted(
    new: Sequence[NewAttempt], last: dict[int, int | None]
) -> tuple[list[NewAttempt], list[NewAttempt], list[NewAttempt]]:
    """Attempts that succeeded at once, other successes, and failures; all in the last if an event has two of them."""
    at_once: list[NewAttempt] = []
    later: list[NewAttempt] = []
    failed: list[NewAttempt] = []
    if len(last) < len(new):
        return at_once, later, list(new)
    for attempt in new:
        if attempt.failure is not None:
            failed.append(attempt)
        elif last[attempt.event_id] is None and (attempt.number is None or attempt.number == 1):
            at_once.append(attempt)
        else:
            later.append(attempt)
    return at_once, later, failed


def _attempt_rows(db: Writer, new: Sequence[NewAttempt], last: dict[int, int | None], first: int) -> list[Row]:
    """Number attempts at events that had `last` attempts; their ids begin with `first`."""
    tracebacks: dict[str, int] = {}
    numbers: dict[int, int] = {}
    taken: set[tuple[int, int]] = set()
    rows = []
    for attempt_id, attempt in enumerate(new, start=first):
        event_id, failure, wanted = attempt.event_id, attempt.failure, attempt.number
        newest = numbers.get(event_id) or last[event_id] or 0
        number = wanted or newest + 1
        if wanted and ((event_id, number) in taken or (number <= newest and _is_taken(db, event_id, number))):
            number = newest + 1
        taken.add((event_id, number))
        numbers[event_id] = max(newest, number)
        outcome, traceback = "SYNCED" if failure is None else "FAILED", None
        if failure is not None and (text := failure.traceback) is not None:
            traceback = tracebacks[text] = tracebacks.get(text) or _traceback(db, text)
        rows.append(_attempt_row((attempt_id, number, outcome, traceback, *attempt, *(failure or _NO_FAILURE))))
    return rows


def observed(
    db: Writer,
    new: Sequence[EventWithAttempts],
    policy: Policy,
    *,
    at_known: bool = False,
    conflicts: dict[int, KeyConflict] | None = None,
) -> list[tuple[int, bool]]:
    """Append events with attempts made elsewhere; return and raise as `events` does.

    Attempts at an event with a known key are skipped: they were appended with the event. With `at_known` they are
    additional attempts and appended, unless the known event has another type.
    """
    ids = events(db, [event for event, _ in new], conflicts=conflicts)
    appended = [
        attempt._replace(event_id=event_id)
        for position, ((event_id, known), (_, made)) in enumerate(zip(ids, new, strict=True))
        for attempt in made
        if (at_known or not known) and not (conflicts and position in conflicts)
    ]
    attempts(db, appended, policy)
    return ids


def decisions(
    db: Writer, kind: DecisionKind, event_ids: Sequence[int], *, by: str, reason: str, now: int, policy: Policy
) -> int:
    """Append the same decision for each event; return the id of the first decision, which the others follow.

    Raises:
        NotFound: there is no such event.
        UsageError: the event's state does not allow the decision; the message says why.
    """
    first = next_id(db, "decision_log", "decision_id")
    rows = []
    for decision_id, event_id in enumerate(event_ids, start=first):
        state = db.query(_STATE, (event_id,))
        if not state:
            raise NotFound(f"there is no event {event_id}; 'failaware events' lists them")
        status, dismissed, attempts_made, due_at, erased = state[0]
        if erased and kind is not DecisionKind.DISMISS:
            raise UsageError(f"event {event_id} was erased; 'failaware event {event_id}' says by whom")
        if kind is DecisionKind.ERASE:
            _check_no_attempt_due(event_id, status, due_at)
        else:
            _check_decision(kind, event_id, status, dismissed=bool(dismissed))
        rows.append((decision_id, event_id, kind.value, attempts_made, by, reason, now))
    if rows:
        db.append("decision_log", _DECISION, rows)
        for event_id in event_ids:
            claim.reclaim(db, event_id)  # from the task queue that would have retried it
        fold(db, just_appended(decisions=(first, first + len(rows) - 1)), policy)
    return first


def _check_no_attempt_due(event_id: int, status: str, due_at: int | None) -> None:
    if due_at is not None:
        raise UsageError(
            f"event {event_id} is {status} and will be attempted, which needs its payload; "
            f"dismiss it first: failaware dismiss {event_id} --because …"
        )


def _check_decision(kind: DecisionKind, event_id: int, status: str, *, dismissed: bool) -> None:
    if status == "SYNCED":
        raise UsageError(f"event {event_id} is SYNCED; there is nothing to {kind.value.lower()}")
    if kind is DecisionKind.REQUEUE and status == "PENDING" and not dismissed:
        raise UsageError(f"event {event_id} is PENDING already; 'failaware run' attempts it")
    if kind is DecisionKind.DISMISS and dismissed:
        raise UsageError(f"event {event_id} is dismissed already; 'failaware event {event_id}' says by whom")


def check_key(db: Reader, new: NewEvent) -> None:
    """Raise KeyConflict if the event's key belongs to an event of another type."""
    for key, event_id, known_type in _for_each(db, _BY_KEY, [] if new.key is None else [new.key]):
        if known_type != new.event_type:
            raise _conflict(key, new.event_type, event_id, known_type)


def _conflict(key: str, event_type: str, event_id: int, known_type: str) -> KeyConflict:
    return KeyConflict(
        f"the key {key[:60]!r} belongs to event {event_id} of type {known_type[:60]!r}; an event of type "
        f"{event_type[:60]!r} cannot have it; use another key, for example one that begins with the type"
    )


def recorded(db: Reader, event_id: int) -> Event:
    """The event as it was first recorded under a key."""
    ((event_type, payload, key, source, occurred_at, detected_at),) = db.query(
        "SELECT e.event_type, e.event_payload, k.key, e.source, e.occurred_at, e.detected_at "
        "FROM event_log e LEFT JOIN event_key k ON k.event_id = e.event_id WHERE e.event_id = ?",
        (event_id,),
    )
    return Event(event_id, event_type, json.loads(payload), key, source, occurred_at, detected_at, known=True)


def was_attempted_by(db: Reader, key: str | None, worker: str) -> bool:
    """Return whether this worker has recorded an attempt at the event with this key."""
    attempt = "SELECT 1 FROM attempt_log a JOIN event_key k ON k.event_id = a.event_id WHERE k.key = ? AND a.worker = ?"
    return bool(db.query(attempt, (key, worker)))


def rejects(db: Writer, new: Sequence[NewReject], *, once: bool = False) -> None:
    """Append input that could not be parsed, with the reason; with `once` only if the same line is not there yet."""
    if new and once:
        sql = "SELECT origin, line_no, raw, error FROM reject_log WHERE line_no IN ({})"
        known = set(_for_each(db, sql, list({reject.line_no for reject in new})))
        new = [reject for reject in new if reject[:4] not in known]
    if new:
        first = next_id(db, "reject_log", "reject_id")
        rows = [_reject_row((number, *reject)) for number, reject in enumerate(new, start=first)]
        db.append("reject_log", _REJECT_COLUMNS, rows)


def next_id(db: Reader, table: str, column: str) -> int:
    """The id after the newest: the write lock excludes other writers, and the newest row is never archived."""
    return int(db.query(f"SELECT coalesce(max({column}), 0) + 1 FROM {table}")[0][0])


def _last_attempts(db: Reader, event_ids: list[int]) -> dict[int, int | None]:
    """The number of the last attempt at each of these events; None: the event has no state, only its own fact."""
    return dict(_for_each(db, _LAST_ATTEMPTS, event_ids))


def _is_taken(db: Reader, event_id: int, number: int) -> bool:
    return bool(db.query("SELECT 1 FROM attempt_log WHERE event_id = ? AND attempt_no = ?", (event_id, number)))


def _for_each(db: Reader, sql: str, values: list[str] | list[int]) -> Iterator[Row]:
    """The rows of a query for all values. Batches are padded to powers of two, so few statements are prepared."""
    for start in range(0, len(values), _MAX_VALUES):
        batch: list[Any] = [*values[start : start + _MAX_VALUES]]
        size = 1 << (len(batch) - 1).bit_length()
        yield from db.query(sql.format(",".join("?" * size)), batch + batch[-1:] * (size - len(batch)))


def _traceback(db: Writer, text: str) -> int:
    """The id of a traceback's row, which is appended if it is new."""
    digest = keyed_digest(load_key(db), text.encode()).hex()
    rows = db.query("SELECT traceback_id FROM traceback_log WHERE hash = ?", (digest,))
    if not rows:
        rows = [(next_id(db, "traceback_log", "traceback_id"),)]
        db.append("traceback_log", TRACEBACK.column_names, [(*rows[0], digest, text)])
    return int(rows[0][0])
