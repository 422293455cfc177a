"""The facts of a store, from the tables that docs/schema.md describes, and which of them were known at a moment."""

import re
from typing import NamedTuple

NEVER = 2**63 - 1


class Event(NamedTuple):
    event_id: int
    event_type: str
    source: str | None
    detected_at: int
    key: str | None


class Attempt(NamedTuple):
    attempt_id: int
    event_id: int
    number: int
    failed: bool
    error_type: str | None
    message: str | None
    finished_at: int
    retry_at: int | None
    because: str | None
    cluster: tuple | None
    """Event type, error type and template, as they were before anything was erased."""


class Decision(NamedTuple):
    decision_id: int
    event_id: int
    kind: str
    after: int
    at: int


class Facts(NamedTuple):
    """All facts that were known at `now`, by the policy and the leases of then."""

    now: int
    policy: object
    events: dict
    attempts: dict
    """By event, in the order of their numbers."""
    decisions: dict
    """By event, in the order in which they were taken."""
    leases: dict
    """Who has which event until when."""

    def as_of(self, at):
        """What was known at a moment: each fact from its own time on, not before its event. Nobody holds a lease."""
        events = {number: event for number, event in self.events.items() if event.detected_at <= at}
        return self._replace(
            now=at,
            events=events,
            attempts={e: [a for a in self.attempts[e] if a.finished_at <= at] for e in events},
            decisions={e: [d for d in self.decisions[e] if d.at <= at] for e in events},
            leases={},
        )


def read(db, policy, now, remembered):
    """The facts of a store that is open; `remembered` has the errors of attempts as they were first seen."""
    rows = db.query(
        "SELECT e.event_id, event_type, source, detected_at, key FROM event_log e "
        "LEFT JOIN event_key k ON k.event_id = e.event_id ORDER BY e.event_id"
    )
    events = {row[0]: Event(*row) for row in rows}
    attempts, decisions = {number: [] for number in events}, {number: [] for number in events}
    for row in db.query(
        "SELECT attempt_id, event_id, attempt_no, outcome, error_type, error_message, finished_at, retry_at, because "
        "FROM attempt_log ORDER BY event_id, attempt_no"
    ):
        attempt_id, event_id, number, outcome, error_type, message, *rest = row
        failed = outcome == "FAILED"
        first_seen = remembered.setdefault(attempt_id, message)
        cluster = (events[event_id].event_type, error_type, template(first_seen)) if failed else None
        attempts[event_id].append(Attempt(attempt_id, event_id, number, failed, error_type, message, *rest, cluster))
    for row in db.query(
        "SELECT decision_id, event_id, decision, after_attempt, decided_at FROM decision_log ORDER BY decision_id"
    ):
        decisions[row[1]].append(Decision(*row))
    leased = db.query("SELECT event_id, leased_until, leased_by FROM lease")
    leases = {event_id: (until, by) for event_id, until, by in leased}
    return Facts(now, policy, events, attempts, decisions, leases)


def template(message):
    """Of the messages in these histories only numbers vary."""
    return re.sub(r"\d+", "<n>", message)
