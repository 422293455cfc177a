"""Leases: a worker's temporary claim on due events. Each function runs inside one transaction of a Writer."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from failaware.derive.fold import store_unattempted
from failaware.engine import Reader, Row, Writer
from failaware.model import NEVER, Event, Failure, NewAttempt

WORKER_LOST = "WorkerLost"
"""The error type of the attempt that records a worker's death."""

LEASE_US = 60_000_000
RENEW_S = 20.0
"""The length of the lease of an attempt that another program makes, and how often the program renews it."""

_ELSEWHERE = 2  # value of lease.begun
_NO_RETRY = "its caller is lost; no worker retries it"
_FREE = """NOT EXISTS (SELECT 1 FROM lease l WHERE l.event_id = {of}.event_id
                                    AND (l.begun <> 0 OR l.leased_until >= :now))"""
"""Not a LEFT JOIN: PostgreSQL would expect that few events are free, and read and sort all due ones."""
_DUE_OF = f"""
SELECT d.due_at, e.event_id, e.event_type, e.event_payload, k.key, e.source, e.occurred_at, e.detected_at, d.attempts,
       d.tries, d.poison_candidate, l.event_id IS NOT NULL AS unsure
  FROM (SELECT *
          FROM (SELECT s.due_at, s.event_id, s.attempts, s.attempts - s.budget_from AS tries,
                       a.error_type IS NOT NULL AS poison_candidate
                  FROM stored_state s
                  LEFT JOIN attempt_log a
                    ON a.attempt_id = s.last_failure AND a.attempt_no = s.attempts AND a.error_type = :lost
                 WHERE s.event_type = :type AND s.due_at IS NOT NULL AND s.due_at <= :now AND {_FREE.format(of="s")}
                   AND (:poison_candidates = 1 OR a.error_type IS NULL)
                 ORDER BY s.due_at, s.event_id LIMIT :limit) AS retried
        UNION ALL {{unattempted}}
         ORDER BY 1, 2 LIMIT :limit) AS d
 CROSS JOIN event_log e
  LEFT JOIN event_key k ON k.event_id = e.event_id
  LEFT JOIN lease l ON l.event_id = d.event_id
 WHERE e.event_id = d.event_id
"""
_UNATTEMPTED = f"""
        SELECT *
          FROM (SELECT n.detected_at, n.event_id, 0, 0, false
                  FROM {{table}} n
                 WHERE n.event_type = :type AND n.detected_at <= :now AND {_FREE.format(of="n")}
                 ORDER BY n.detected_at, n.event_id LIMIT :limit) AS {{name}}
"""
_STORED = _UNATTEMPTED.format(table="stored_unattempted", name="unattempted")
_DUE = _DUE_OF.format(unattempted=_STORED)
_UNSTORED = _UNATTEMPTED.format(table="unstored_event", name="unstored")
_DUE_ON_SERVER = _DUE_OF.format(unattempted=f"{_STORED} UNION ALL {_UNSTORED}")
_WAITING = "SELECT DISTINCT event_type FROM stored_counts WHERE sync_status IN ('PENDING', 'FAILED') AND dismissed = 0"
_NEXT_DUE = f"""  -- a time, and how many µs to add to it: a lease is valid up to and including its end
SELECT t.event_type, 0,
       (SELECT s.due_at FROM stored_state s LEFT JOIN lease l ON l.event_id = s.event_id
         WHERE s.event_type = t.event_type AND s.due_at IS NOT NULL AND l.event_id IS NULL ORDER BY s.due_at LIMIT 1)
  FROM ({_WAITING}) AS t
UNION ALL
SELECT t.event_type, 0,
       (SELECT n.detected_at FROM stored_unattempted n LEFT JOIN lease l ON l.event_id = n.event_id
         WHERE n.event_type = t.event_type AND n.detected_at IS NOT NULL AND l.event_id IS NULL
         ORDER BY n.detected_at LIMIT 1)
  FROM ({_WAITING}) AS t
UNION ALL
SELECT u.event_type, 0, min(u.detected_at)
  FROM unstored_event u
 WHERE NOT EXISTS (SELECT 1 FROM lease l WHERE l.event_id = u.event_id) GROUP BY u.event_type
UNION ALL
SELECT s.event_type, 1, min(l.leased_until)
  FROM lease l JOIN event_state s ON s.event_id = l.event_id GROUP BY s.event_type
"""
_EXPIRED = """
SELECT l.event_id, s.event_type, s.attempts - s.budget_from, l.leased_by, l.leased_until, l.begun, s.due_at
  FROM lease l JOIN event_state s ON s.event_id = l.event_id WHERE l.leased_until < ?
"""
_raw_decode = json.JSONDecoder().raw_decode


class Claimed(NamedTuple):
    """A due event that a worker claims.

    `attempts` counts those since it was recorded or last requeued. `poison_candidate`: its last attempt lost its
    worker. `unsure`: a lost worker may have begun an attempt. `noted`: the attempt begins only once its lease is marked
    as begun. `begun`: the lease is marked as begun, so losing the worker counts as a failed attempt.
    """

    event: Event
    attempts: int
    due_at: int
    poison_candidate: bool
    unsure: bool
    noted: bool = False
    begun: bool = False


@dataclass(frozen=True, slots=True)
class LostLease:
    """An expired lease: its worker died or lost its connection during an attempt. `attempts` as in Claimed."""

    event_id: int
    event_type: str
    attempts: int
    leased_by: str
    leased_until: int
    begun: int

    @property
    def elsewhere(self) -> bool:
        """Whether the attempt was made by `exec` or a worker of a task queue, which alone may retry."""
        return self.begun == _ELSEWHERE

    def attempt(self) -> NewAttempt:
        """Return the attempt that another program lost; it ended when its lease expired, which may be long ago."""
        failure = Failure(WORKER_LOST, f"{self.leased_by} was lost during this attempt, or before the next one", None)
        began, ended = self.leased_until - LEASE_US, self.leased_until
        return NewAttempt(self.event_id, failure, self.leased_by, began, ended, None, _NO_RETRY)


def waiting_types(db: Writer, handles: Callable[[str], bool]) -> list[str]:
    """The event types with attempts due now or later for which `handles` is true; `due` then sees all their events.

    On a server, events may remain unstored, and `due` looks for them separately.
    """
    store_unattempted(db)
    sql = f"{_WAITING} UNION SELECT event_type FROM unstored_event" if db.dialect.recorders else _WAITING
    return [event_type for (event_type,) in db.query(sql) if handles(event_type)]


def lost(db: Writer, handles: Callable[[str], bool], now: int) -> list[LostLease]:
    """End the expired leases of workers; return those with an attempt that had begun.

    An event that, as far as is known, only waited for a free handler is due again without a failed attempt. Its expired
    lease stays, so that the next worker records when its attempt begins: if the event kills that worker too, the lost
    attempt is certain.
    """
    rows = db.query(_EXPIRED, (now,))
    return _ended(db, [row for row in rows if handles(row[1])], now)


def is_lost_elsewhere(db: Reader, now: int) -> bool:
    """Whether a lease of `exec` or of a worker of a task queue has expired."""
    return bool(db.query(f"{_EXPIRED} AND l.begun = {_ELSEWHERE} LIMIT 1", (now,)))


def lost_elsewhere(db: Writer, now: int) -> list[NewAttempt]:
    """End the expired leases of `exec` and of workers of task queues; return their lost attempts."""
    rows = db.query(f"{_EXPIRED} AND l.begun = {_ELSEWHERE}", (now,))
    return [lease.attempt() for lease in _ended(db, rows, now)]


def _ended(db: Writer, expired: list[Row], now: int) -> list[LostLease]:
    ended = [(row[0],) for row in expired if row[5] or row[6] is None or row[6] > now]
    if ended:
        db.execute_many("DELETE FROM lease WHERE event_id = ?", ended)
    return [LostLease(*row[:6]) for row in expired if row[5] and row[6] is not None]


def due(db: Reader, event_type: str, *, now: int, limit: int, poison_candidates: bool = True) -> list[Claimed]:
    """The events of a type that are due and not leased, longest due first; after `waiting_types`."""
    parameters = {
        "type": event_type,
        "now": now,
        "limit": limit,
        "lost": WORKER_LOST,
        "poison_candidates": int(poison_candidates),
    }
    rows = db.query(_DUE_ON_SERVER if db.dialect.recorders else _DUE, parameters)
    rows.sort(key=itemgetter(0, 1))  # mostly in this order already, while a database would sort all their payloads
    return [_claimed(row) for row in rows]


def lease(db: Writer, batch: Sequence[Claimed], *, worker: str, until: int) -> None:
    """Lease these due events to a worker."""
    unsure = [(claimed.event.event_id,) for claimed in batch if claimed.unsure]
    if unsure:
        db.execute_many("DELETE FROM lease WHERE event_id = ?", unsure)
    rows = [(claimed.event.event_id, until, worker, int(claimed.begun)) for claimed in batch]
    db.append("lease", ("event_id", "leased_until", "leased_by", "begun"), rows)


def begin(db: Writer, event_ids: Iterable[int], worker: str) -> None:
    """Mark a worker's leases on these events as begun."""
    rows = [(event_id, worker) for event_id in event_ids]
    db.execute_many("UPDATE lease SET begun = 1 WHERE event_id = ? AND leased_by = ?", rows)


def end(db: Writer, event_ids: Iterable[int], worker: str) -> None:
    """End a worker's leases on these events without an attempt: the events are due again at once, for any worker."""
    rows = [(event_id, worker) for event_id in event_ids]
    db.execute_many("DELETE FROM lease WHERE event_id = ? AND leased_by = ?", rows)


def hold(db: Writer, event_id: int, worker: str, *, now: int, until: int) -> None:
    """Lease an event to a program that is already running it, or renew the lease; another's valid lease is kept."""
    db.execute(
        f"INSERT INTO lease (event_id, leased_until, leased_by, begun) VALUES (:event, :until, :worker, {_ELSEWHERE}) "
        "ON CONFLICT (event_id) DO UPDATE "
        "SET leased_until = excluded.leased_until, leased_by = excluded.leased_by, begun = excluded.begun "
        "WHERE lease.leased_by = excluded.leased_by OR lease.leased_until < :now",
        {"event": event_id, "until": until, "worker": worker, "now": now},
    )


def delegate(db: Writer, event_id: int, queue: str) -> None:
    """Delegate an event to a task queue while it is PENDING or FAILED: the queue runs it, and no worker claims it."""
    release_elsewhere(db, event_id)
    ended = "SELECT 1 FROM stored_state WHERE event_id = ? AND sync_status NOT IN ('PENDING', 'FAILED')"
    if not db.query(ended, (event_id,)):
        hold(db, event_id, queue, now=0, until=NEVER)


def release_elsewhere(db: Writer, event_id: int) -> None:
    """End the delegation of an event, or the lease of an attempt at it that another program made."""
    db.execute(f"DELETE FROM lease WHERE event_id = ? AND begun = {_ELSEWHERE}", (event_id,))


def reclaim(db: Writer, event_id: int) -> None:
    """End a delegation: a person made a decision on the event."""
    db.execute("DELETE FROM lease WHERE event_id = ? AND leased_until = ?", (event_id, NEVER))


def renew(db: Writer, worker: str, until: int) -> None:
    """Extend all leases of this worker."""
    db.execute("UPDATE lease SET leased_until = ? WHERE leased_by = ?", (until, worker))


def attempts_made(db: Reader, event_ids: list[int]) -> dict[int, int]:
    """How many attempts each of these events has had since it was recorded or last requeued."""
    if not event_ids:
        return {}
    rows = db.query(
        f"SELECT event_id, attempts - budget_from FROM event_state WHERE event_id IN ({','.join(map(str, event_ids))})"
    )
    return dict(rows)


def release(db: Writer, worker: str) -> None:
    """End all leases of this worker: events without an attempt are due again at once, for any worker."""
    db.execute("DELETE FROM lease WHERE leased_by = ?", (worker,))


def held(db: Reader, event_id: int, worker: str) -> bool:
    """Return whether this worker still holds the lease."""
    return bool(db.query("SELECT 1 FROM lease WHERE event_id = ? AND leased_by = ?", (event_id, worker)))


def next_due(db: Reader, handles: Callable[[str], bool]) -> int | None:
    """When the next unleased event with a handler is due or the next lease of one expires (µs); None: never."""
    times = (at + after for event_type, after, at in db.query(_NEXT_DUE) if at is not None and handles(event_type))
    return min(times, default=None)


def _decode(text: str) -> Any:
    """As `json.loads`, which takes twice as long because it looks for white space around the value."""
    try:
        value, end = _raw_decode(text)
    except ValueError:
        end = -1
    return value if end == len(text) else json.loads(text)


def _claimed(row: Row) -> Claimed:
    (
        due_at,
        event_id,
        event_type,
        payload,
        key,
        source,
        occurred_at,
        detected_at,
        last_number,
        attempts,
        poison_candidate,
        unsure,
    ) = row
    event = Event(event_id, event_type, _decode(payload), key, source, occurred_at, detected_at, last_number + 1)
    return Claimed(event, attempts, due_at, bool(poison_candidate), bool(unsure))
