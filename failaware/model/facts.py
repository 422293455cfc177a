"""Facts: events, attempts, decisions and rejects, as they are recorded and as they are read."""

from enum import StrEnum
from typing import Any, NamedTuple

NEVER = 2**63 - 1
"""A time that does not come (µs): the end of what is still open."""

ERROR_HERE = "⟨error⟩"
"""Stands in a kept traceback for the line that an attempt's own type and message make."""

MEMBER = "\n+ "
"""Stands between the root causes of an exception group, each "type: message"."""

UNNUMBERED = 0
"""The event of an attempt that is written together with its event, and so before that has a number."""

HOUR = 3_600_000_000
"""One hour in µs: the grain of sparklines and episodes."""


class SyncStatus(StrEnum):
    """What the facts say of an event now."""

    PENDING = "PENDING"
    FAILED = "FAILED"
    DEAD = "DEAD"
    SYNCED = "SYNCED"


class Severity(StrEnum):
    """How bad, from the rules; compare with `rank`, not with `<`."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """0 for LOW up to 3 for CRITICAL."""
        return list(Severity).index(self)


class DecisionKind(StrEnum):
    """What a person may decide about an event."""

    REQUEUE = "REQUEUE"
    DISMISS = "DISMISS"
    ERASE = "ERASE"


class Event(NamedTuple):
    """Something detected that has to be applied to the domain.

    `payload` is the decoded JSON. `attempt_no` counts from 1 and is the attempt that is being made when a handler
    gets the event; it is 0 on an event that `record` returns. `known` says that the key had been recorded before,
    so that nothing was added.
    """

    event_id: int
    event_type: str
    payload: Any
    key: str | None
    source: str | None
    occurred_at: int
    detected_at: int
    attempt_no: int = 0
    known: bool = False


class Failure(NamedTuple):
    """How an attempt failed: the error's type, its message, and its traceback if there is one.

    In the traceback `ERROR_HERE` may stand for "type: message", so that failures at the same place share one text.
    `cause` is the root of an explicit chain as "type: message", or the members of a group with MEMBER between them.
    `fingerprint` is the handler's own word on what this failure is like.
    """

    error_type: str
    error_message: str
    traceback: str | None
    cause: str | None = None
    fingerprint: str | None = None


class NewEvent(NamedTuple):
    """An event about to be appended; `event_payload` is the raw JSON text that is kept. Its fields are columns of it.

    `fingerprint` says what all its failures are like, where the failure itself does not.
    """

    event_type: str
    event_payload: str
    key: str | None
    source: str | None
    occurred_at: int
    detected_at: int
    fingerprint: str | None = None


class NewAttempt(NamedTuple):
    """An attempt about to be appended. `failure` is None when it succeeded.

    `number` is its place among the attempts of its event, where it is known and may be written after the next one;
    otherwise, or if that is taken, it comes after the last.
    """

    event_id: int
    failure: Failure | None
    worker: str
    started_at: int
    finished_at: int
    retry_at: int | None
    retry_reason: str | None
    number: int | None = None


class EventWithAttempts(NamedTuple):
    """An event about to be appended, with the attempts that others made at it (UNNUMBERED), in their order.

    Without any, it is for our own workers to apply.
    """

    event: NewEvent
    attempts: tuple[NewAttempt, ...] = ()


class NewReject(NamedTuple):
    """Input that could not be understood, about to be kept with the reason."""

    origin: str
    line_no: int
    raw: str
    error: str
    rejected_at: int


class Reject(NamedTuple):
    """Input that could not be understood: the file or other origin, the line, as it was, why not, and when."""

    reject_id: int
    origin: str
    line_no: int
    raw: str
    error: str
    rejected_at: int


class Attempt(NamedTuple):
    """One try at applying an event, and what was decided after it."""

    attempt_id: int
    event_id: int
    attempt_no: int
    outcome: str
    error_type: str | None
    error_message: str | None
    traceback: str | None
    worker: str
    started_at: int
    finished_at: int
    retry_at: int | None
    retry_reason: str | None
    cluster_id: int | None
    cause: str | None = None
    fingerprint: str | None = None


class Decision(NamedTuple):
    """A person's word on an event: who, when, why."""

    decision_id: int
    event_id: int
    decision: str
    decided_by: str
    reason: str
    decided_at: int
