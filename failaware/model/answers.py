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
    """One event with all its facts and its state; `event_payload` is the raw JSON text."""

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
    """An event, and the number for which it is listed (a time in µs, or a count)."""

    event_id: int
    event_type: str
    value: int


class Health(NamedTuple):
    """The state of the store in one row.

    The five states add up: pending + failed + dead + synced + dismissed = total_events; a dismissed event is counted
    only as dismissed. `due_now` events can be attempted now, `running` are under a lease. `oldest_unresolved`
    has the time of the event's first failure since it was last SYNCED (if several have it, the one recorded first),
    `most_retried` the number of retries. PENDING events that are not running are `waiting` if they have never failed,
    and `requeued` if they have; both by type, most first. `attended` are the types of running events; the others may
    have no handler. `last_fact_at` is the newest time of the last event, attempt and decision that were appended.
    `derivation` is current, or by an older or newer failaware, and `derived_by` that version; None: unknown. `archived`
    is the number of archived events.
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
    """How many unresolved events and clusters have each severity: both together, and each kind by severity."""

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
    """Failures of one cluster in one hour (`hour_at`: its start), and the events that entered the cluster then."""

    cluster_id: int
    hour_at: int
    failures: int
    events: int


class RuleCheck(NamedTuple):
    """One severity rule applied to one event or cluster: the evidence, and whether its condition held."""

    rule: str
    severity: str
    condition: str
    numbers: dict[str, int | str | None]
    held: bool


class MaskedPart(NamedTuple):
    """A part of a message that its template replaces, and the placeholder ("" if there is none)."""

    placeholder: str
    text: str


class AppliedRule(NamedTuple):
    """A masking rule that fired on a message, and the parts of the text that it changed."""

    rule: str
    parts: tuple[MaskedPart, ...]


class GroupedBy(NamedTuple):
    """Why a failure is in its cluster: `by` what it was grouped, the text, its template and the variable parts.

    `learned` are the words in place of the learned variables of the template. `rules` are the masking rules that fired,
    in order; only `failaware fingerprint --explain` lists them. `split_of` is the cluster that a person split, of which
    this one is a part.
    """

    by: str
    text: str
    template: str
    masked: tuple[MaskedPart, ...]
    learned: tuple[str, ...] = ()
    rules: tuple[AppliedRule, ...] = ()
    split_of: int | None = None


class Behind(NamedTuple):
    """The evidence for a number: the ids of up to ten facts, newest first; `kind` is event, attempt or decision."""

    number: str
    value: int
    kind: str
    ids: tuple[int, ...]


class SeverityChange(NamedTuple):
    """The last change of a severity: when, from what to what, and by a fact of which event; `sentence` describes it.

    `event_id` is None if no change was found among very many facts; then `at` is how far back the search went.
    """

    at: int
    before: str | None
    after: str | None
    rule: str | None
    event_id: int | None
    sentence: str


class Explanation(NamedTuple):
    """Why an event or a cluster has the severity it has; `severity` is None when no rule holds.

    `grouped` is about the event's last failure, or the cluster's newest one; None for an event that never failed.
    `behind` (the evidence) and `since` (the last change) are there if they were requested; `since` is None if there
    never was a severity. `derivation` and `derived_by` are as in Health: an older version's rules may have given the
    severity.
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
