"""Facts: events, attempts, decisions and rejects, to be recorded and as read."""

from enum import StrEnum
from typing import Any, NamedTuple

NEVER = 2**63 - 1
"""A time in µs that is later than any other: the end of what has not ended."""

ERROR_HERE = "⟨error⟩"
"""Replaces the line "type: message" in a stored traceback; both are stored with the attempt."""

MEMBER = "\n+ "
"""Separates the root causes of an exception group, each "type: message"."""

UNNUMBERED = 0
"""The event id of an attempt that is written together with its event, which has no id yet."""

HOUR = 3_600_000_000
"""One hour in µs: the unit of sparklines and episodes."""


class SyncStatus(StrEnum):
    """The state of an event, derived from its facts."""

    PENDING = "PENDING"
    FAILED = "FAILED"
    DEAD = "DEAD"
    SYNCED = "SYNCED"


class Severity(StrEnum):
    """The severity that a rule gives; compare `rank`, not the values."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """0 for LOW up to 3 for CRITICAL."""
        return list(Severity).index(self)


class DecisionKind(StrEnum):
    """What a person can decide about an event."""

    REQUEUE = "REQUEUE"
    DISMISS = "DISMISS"
    ERASE = "ERASE"


class Event(NamedTuple):
    """Something that has to be done, or that was observed.

    `payload` is the decoded JSON. In a handler, `attempt_no` is the number of the present attempt, from 1; in an event
    that `record` returns, it is 0. `known` is true if the key was recorded before: nothing was added, and this is the
    first event with the key.
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
    """How an attempt failed: error type, message, and the traceback if there is one.

    In the traceback, `ERROR_HERE` may replace "type: message"; then failures at the same place share one text. `cause`
    is the root cause of an explicit chain as "type: message", or those of a group's members separated by MEMBER.
    `fingerprint` is the one that the handler gave.
    """

    error_type: str
    error_message: str
    traceback: str | None
    cause: str | None = None
    fingerprint: str | None = None


class NewEvent(NamedTuple):
    """An event to be appended; `event_payload` is the raw JSON text. The fields have the names of its columns.

    `fingerprint` applies to all failures of the event that have none of their own.
    """

    event_type: str
    event_payload: str
    key: str | None
    source: str | None
    occurred_at: int
    detected_at: int
    fingerprint: str | None = None


class NewAttempt(NamedTuple):
    """An attempt to be appended. `failure` is None if it succeeded.

    `number` is its number among the attempts of its event, for an attempt that may be written after the next one; if it
    is None or taken, the attempt is numbered after the last.
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
    """An event to be appended, with the attempts that were made elsewhere (UNNUMBERED), in their order.

    Without attempts, it is PENDING for failaware's workers.
    """

    event: NewEvent
    attempts: tuple[NewAttempt, ...] = ()


class NewReject(NamedTuple):
    """Input that could not be parsed, to be appended with the reason."""

    origin: str
    line_no: int
    raw: str
    error: str
    rejected_at: int


class Reject(NamedTuple):
    """Input that could not be parsed: its origin (a file), the line number, the raw text, the reason, and when."""

    reject_id: int
    origin: str
    line_no: int
    raw: str
    error: str
    rejected_at: int


class Attempt(NamedTuple):
    """One attempt at an event, and the retry decision after it."""

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
    """A person's decision about an event: what, who, why and when."""

    decision_id: int
    event_id: int
    decision: str
    decided_by: str
    reason: str
    decided_at: int
