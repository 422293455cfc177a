"""Answers of the Inspector: events, clusters, health, severities and explanations."""

from typing import NamedTuple

from failaware.model.facts import Attempt, Decision


class EventSummary(NamedTuple):
    """An event in a list: its state, without its payload."""

    event_id: int
    event_type: str
    sync_status: str
    dismissed: bool
    retry_count: int
    attempts: int
    severity: str | None
    rule: str | None
    cluster_id: int | None
    last_error_type: str | None
    last_error: str | None
    source: str | None
    occurred_at: int
    detected_at: int
    first_failed_at: int | None
    last_failed_at: int | None
    due_at: int | None


class EventDetail(NamedTuple):
    """One event with everything ever known about it; `event_payload` is the raw JSON text."""

    event_id: int
    event_type: str
    key: str | None
    source: str | None
    event_payload: str
    occurred_at: int
    detected_at: int
    sync_status: str
    dismissed: bool
    retry_count: int
    due_at: int | None
    leased_by: str | None
    leased_until: int | None
    cluster_id: int | None
    severity: str | None
    rule: str | None
    reason: str | None
    attempts: tuple[Attempt, ...]
    decisions: tuple[Decision, ...]


class EventRef(NamedTuple):
    """A pointer to one event and the number that made it stand out (a time in µs, or a count)."""

    event_id: int
    event_type: str
    value: int


class Health(NamedTuple):
    """The state of the store in one row.

    The five states add up: pending + failed + dead + synced + dismissed = total_events; a dismissed event is counted
    as dismissed only. `due_now` events could be tried at once, `running` are under a lease. `oldest_unresolved`
    comes with its first failure since it was last SYNCED (of several, the event that was recorded first),
    `most_retried` with how often it was tried again after a failure. PENDING events that nobody has in hand are
    `waiting` when they have never failed, and `requeued` when they have; both by type, most first. `attended` are the
    types of which a worker has events in hand: of the others there may be no handler. `last_fact_at` is the time of
    the newest of the last event, attempt and decision that were appended. `derivation` is current, or by an older or
    newer failaware, `derived_by` its version; None: unknown. `archived` events were moved to archives.
    """

    total_events: int
    pending: int
    failed: int
    dead: int
    synced: int
    dismissed: int
    due_now: int
    running: int
    next_due: EventRef | None
    oldest_unresolved: EventRef | None
    most_retried: EventRef | None
    waiting: tuple[tuple[str, int], ...]
    rejects: int
    last_fact_at: int | None
    derivation: str
    derived_by: str | None
    archived: int
    requeued: tuple[tuple[str, int], ...]
    attended: tuple[str, ...]


class SeverityCounts(NamedTuple):
    """How many unresolved events and clusters stand at each severity: both together, and each kind by severity."""

    CRITICAL: int
    HIGH: int
    MEDIUM: int
    LOW: int
    events: dict[str, int]
    clusters: dict[str, int]


class Cluster(NamedTuple):
    """Failures of one event type with one fingerprint."""

    cluster_id: int
    event_type: str
    error_type: str | None
    template: str
    severity: str | None
    rule: str | None
    reason: str | None
    events: int
    unresolved: int
    dead: int
    retrying: int
    recovered: int
    failures: int
    episodes: int
    relapses: int
    first_failed_at: int
    last_failed_at: int
    example_attempt: int


class HourCount(NamedTuple):
    """Failures of one cluster in one hour (`hour_at`: its start), and the events that entered it then."""

    cluster_id: int
    hour_at: int
    failures: int
    events: int


class RuleCheck(NamedTuple):
    """One severity rule held against one entity: the numbers it looked at, and whether it held."""

    rule: str
    severity: str
    condition: str
    numbers: dict[str, int | str | None]
    held: bool


class MaskedPart(NamedTuple):
    """A part of a message that its template leaves out, and the placeholder that stands there ("" where none does)."""

    placeholder: str
    text: str


class GroupedBy(NamedTuple):
    """Why a failure is in its cluster: `by` whose word, from which text, and what of it counts as variable."""

    by: str
    text: str
    template: str
    masked: tuple[MaskedPart, ...]


class Behind(NamedTuple):
    """The facts behind a number: up to ten of them, newest first, by what they are (event, attempt, decision)."""

    number: str
    value: int
    kind: str
    ids: tuple[int, ...]


class SeverityChange(NamedTuple):
    """When a severity changed last, from what to what, and by which event's fact; `sentence` says it in words.

    `event_id` is None where no change was found among very many facts, and `at` is how far back was looked.
    """

    at: int
    before: str | None
    after: str | None
    rule: str | None
    event_id: int | None
    sentence: str


class Explanation(NamedTuple):
    """Why an event or a cluster has the severity it has; `severity` is None when no rule holds.

    `grouped` is about its last failure, or about a cluster's newest one; None of an event that never failed. `behind`
    and `since` are there where they were asked for; `since` is None where there never was a severity. `derivation` and
    `derived_by` are as in Health: the severity may come from other rules than the checks.
    """

    entity_type: str
    entity_id: int
    severity: str | None
    rule: str | None
    reason: str | None
    checks: tuple[RuleCheck, ...]
    derivation: str
    derived_by: str | None
    grouped: GroupedBy | None = None
    behind: tuple[Behind, ...] = ()
    since: SeverityChange | None = None
