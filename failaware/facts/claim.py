"""Leases: a worker's temporary claim on due events. Each function runs inside one transaction of a Writer."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from failaware.engine import Reader, Row, Writer
from failaware.model import NEVER, Event

WORKER_LOST = "WorkerLost"
"""The error type of the attempt that records a worker's death."""

PROGRAM = "#exec"
"""Ends the name of whoever runs a program (`failaware exec`); what it had in hand is for no worker to try."""

_DUE = """
SELECT s.due_at, s.event_id, s.event_type, e.event_payload, k.key, e.source, e.occurred_at, e.detected_at, s.attempts,
       s.attempts - s.budget_from, a.error_type IS NOT NULL, l.event_id IS NOT NULL
  FROM event_state s
  JOIN event_log e ON e.event_id = s.event_id
  LEFT JOIN event_key k ON k.event_id = s.event_id
  LEFT JOIN lease l ON l.event_id = s.event_id
  LEFT JOIN attempt_log a ON a.attempt_id = s.last_failure AND a.attempt_no = s.attempts AND a.error_type = :lost
 WHERE s.event_type = :type AND s.due_at IS NOT NULL AND s.due_at <= :now
   AND (l.event_id IS NULL OR (l.begun = 0 AND l.leased_until < :now))
   AND (:poison_candidates = 1 OR a.error_type IS NULL)
 ORDER BY s.due_at, s.event_id LIMIT :limit
"""
_WAITING = "SELECT DISTINCT event_type FROM event_counts WHERE sync_status IN ('PENDING', 'FAILED') AND dismissed = 0"
_NEXT_DUE = f"""  -- a moment, and how many µs after it: the end of a lease still belongs to it
SELECT t.event_type, 0,
       (SELECT s.due_at FROM event_state s LEFT JOIN lease l ON l.event_id = s.event_id
         WHERE s.event_type = t.event_type AND s.due_at IS NOT NULL AND l.event_id IS NULL ORDER BY s.due_at LIMIT 1)
  FROM ({_WAITING}) AS t
UNION ALL
SELECT s.event_type, 1, min(l.leased_until)
  FROM lease l JOIN event_state s ON s.event_id = l.event_id GROUP BY s.event_type
"""
_decode = json.JSONDecoder().decode


class Claimed(NamedTuple):
    """A due event that a worker claims.

    `tries` counts the attempts since it was recorded or last requeued. `poison_candidate`: its last
    attempt lost its worker.
    `unsure`: a worker was lost that may have begun an attempt. `noted`: the attempt begins only once its lease says so.
    `begun`: it does, so that losing the worker is a failed attempt.
    """

    event: Event
    tries: int
    due_at: int
    poison_candidate: bool
    unsure: bool
    noted: bool = False
    begun: bool = False


@dataclass(frozen=True, slots=True)
class LostLease:
    """A lease that ran out: its worker died, or lost touch, in an attempt at the event. `tries` as in Claimed."""

    event_id: int
    event_type: str
    tries: int
    leased_by: str
    leased_until: int


def waiting_types(db: Reader, handles: Callable[[str], bool]) -> list[str]:
    """The event types with something to try, now or later, for which `handles` is true."""
    return [event_type for (event_type,) in db.query(_WAITING) if handles(event_type)]


def lost(db: Writer, handles: Callable[[str], bool], now: int, *, by: str = "") -> list[LostLease]:
    """End the leases that ran out, of names that end with `by`; returns those with an attempt that began.

    An event that only waited for a free handler, as far as is known, is due again without a failed attempt. Its lease
    stays, over as it is, so that whoever claims it next notes when its attempt begins: should it be what kills
    workers, that is known by then.
    """
    rows = db.query(
        "SELECT l.event_id, s.event_type, s.attempts - s.budget_from, l.leased_by, l.leased_until, l.begun, s.due_at "
        "FROM lease l JOIN event_state s ON s.event_id = l.event_id WHERE l.leased_until < ?",
        (now,),
    )
    mine = [row for row in rows if handles(row[1]) and row[3].endswith(by)]
    over = [(row[0],) for row in mine if row[5] or row[6] is None or row[6] > now]
    if over:
        db.execute_many("DELETE FROM lease WHERE event_id = ?", over)
    return [LostLease(*row[:5]) for row in mine if row[5] and row[6] is not None]


def due(db: Reader, event_type: str, *, now: int, limit: int, poison_candidates: bool = True) -> list[Claimed]:
    """The events of a type that are due and that nobody holds, longest due first."""
    parameters = {
        "type": event_type,
        "now": now,
        "limit": limit,
        "lost": WORKER_LOST,
        "poison_candidates": int(poison_candidates),
    }
    return [_claimed(row) for row in db.query(_DUE, parameters)]


def lease(db: Writer, batch: Sequence[Claimed], *, worker: str, until: int) -> None:
    """Lease these events, which are due, to a worker."""
    unsure = [(claimed.event.event_id,) for claimed in batch if claimed.unsure]
    if unsure:
        db.execute_many("DELETE FROM lease WHERE event_id = ?", unsure)
    rows = [(claimed.event.event_id, until, worker, int(claimed.begun)) for claimed in batch]
    db.append("lease", ("event_id", "leased_until", "leased_by", "begun"), rows)


def begin(db: Writer, event_ids: Iterable[int], worker: str) -> None:
    """Note that the attempts at these events of a worker have begun."""
    rows = [(event_id, worker) for event_id in event_ids]
    db.execute_many("UPDATE lease SET begun = 1 WHERE event_id = ? AND leased_by = ?", rows)


def end(db: Writer, event_ids: Iterable[int], worker: str) -> None:
    """End these leases of a worker, without an attempt: the events are due again at once, for anyone."""
    rows = [(event_id, worker) for event_id in event_ids]
    db.execute_many("DELETE FROM lease WHERE event_id = ? AND leased_by = ?", rows)


def hold(db: Writer, event_id: int, worker: str, *, now: int, until: int) -> None:
    """Lease one event that this worker is trying already, or renew that; another's live lease stands."""
    db.execute(
        "INSERT INTO lease (event_id, leased_until, leased_by) VALUES (:event, :until, :worker) "
        "ON CONFLICT (event_id) "
        "DO UPDATE SET leased_until = excluded.leased_until, leased_by = excluded.leased_by, begun = 1 "
        "WHERE lease.leased_by = excluded.leased_by OR lease.leased_until < :now",
        {"event": event_id, "until": until, "worker": worker, "now": now},
    )


def delegate(db: Writer, event_id: int, queue: str) -> None:
    """Leave an event to a task queue while it is FAILED: the queue tries it again, and no worker of ours takes it."""
    if db.query("SELECT 1 FROM event_state WHERE event_id = ? AND sync_status = 'FAILED'", (event_id,)):
        hold(db, event_id, queue, now=0, until=NEVER)
    else:
        reclaim(db, event_id)


def reclaim(db: Writer, event_id: int) -> None:
    """End what `delegate` began: its queue has no more to do with it, or a person decided otherwise."""
    db.execute("DELETE FROM lease WHERE event_id = ? AND leased_until = ?", (event_id, NEVER))


def renew(db: Writer, worker: str, until: int) -> None:
    """Move the end of all leases of this worker."""
    db.execute("UPDATE lease SET leased_until = ? WHERE leased_by = ?", (until, worker))


def tries(db: Reader, event_ids: list[int]) -> dict[int, int]:
    """How many attempts each of these events has had since it was recorded or last requeued."""
    if not event_ids:
        return {}
    rows = db.query(
        f"SELECT event_id, attempts - budget_from FROM event_state WHERE event_id IN ({','.join(map(str, event_ids))})"
    )
    return dict(rows)


def release(db: Writer, worker: str) -> None:
    """Give back all leases of this worker: what it has not tried is due again at once, for anyone."""
    db.execute("DELETE FROM lease WHERE leased_by = ?", (worker,))


def held(db: Reader, event_id: int, worker: str) -> bool:
    """Whether this worker still holds the lease."""
    return bool(db.query("SELECT 1 FROM lease WHERE event_id = ? AND leased_by = ?", (event_id, worker)))


def next_due(db: Reader, handles: Callable[[str], bool]) -> int | None:
    """When the next unleased event with a handler falls due, or the next lease of one runs out (µs); None: never."""
    times = (at + after for event_type, after, at in db.query(_NEXT_DUE) if at is not None and handles(event_type))
    return min(times, default=None)


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
        attempts,
        tries,
        poison_candidate,
        unsure,
    ) = row
    event = Event(event_id, event_type, _decode(payload), key, source, occurred_at, detected_at, attempts + 1)
    return Claimed(event, tries, due_at, bool(poison_candidate), bool(unsure))
