"""Answers of `Patterns`: what the facts show over time.

Not imported by `failaware.model`, since few commands need them. Times are µs since the epoch, UTC, and end in `_at`.
"""

from typing import NamedTuple

from failaware.model import Attempt, MaskedPart

NAMES = {
    "FIRST": "none: it was their first attempt",
    "SYNCED": "SYNCED",
    "DEAD": "DEAD: no further attempt",
    "RETRYING": "still FAILED: another attempt is due",
    "REQUEUED": "PENDING: requeued, no attempt since",
    "DISMISSED": "DISMISSED by a person",
}
"""Names of transitions that are not to or from another cluster."""


class Run(NamedTuple):
    """One step in the history of an event; the last one is its state.

    `kind` FAILED is `times` attempts in a row that failed with one cluster, and `name` the error; SYNCED is attempts
    that succeeded. REQUEUE and DISMISS are decisions, and `name` the person. STATE is the present state if it differs
    from that after the last step: `name` is PENDING, FAILED, DEAD or DISMISSED. `first_attempt` and `last_attempt` are
    attempt numbers, None if there is no attempt; the times are those of the step's first and last fact, None for STATE.
    """

    kind: str
    name: str
    times: int = 1
    cluster_id: int | None = None
    first_attempt: int | None = None
    last_attempt: int | None = None
    first_at: int | None = None
    last_at: int | None = None

    @property
    def words(self) -> str:
        """The step in words: 'GatewayTimeout ×5', 'requeued by ada', 'DEAD'."""
        if self.kind == "FAILED":
            return f"{self.name} ×{self.times:,}"
        prefixes = {"REQUEUE": "requeued by ", "DISMISS": "dismissed by "}
        return f"{prefixes.get(self.kind, '')}{self.name}"


class Transition(NamedTuple):
    """How many events came to a cluster from this, or went from a cluster to this.

    `kind` FAILED is another cluster, named by the other three fields; SYNCED is a success. After a cluster it may also
    be the state of events without a further attempt: DEAD, RETRYING, REQUEUED or DISMISSED; before a cluster, FIRST.
    """

    kind: str
    events: int
    cluster_id: int | None = None
    error_type: str | None = None
    template: str | None = None


class Transitions(NamedTuple):
    """What came before events first failed with a cluster, and after they last did; most frequent first.

    The events of `before`, and those of `after`, add up to the events that ever failed with the cluster.
    """

    cluster_id: int
    before: tuple[Transition, ...]
    after: tuple[Transition, ...]


class RecoveryStats(NamedTuple):
    """Events that failed and then were SYNCED: without a decision (`recovered`), or after a requeue (`helped`).

    `attempts` of the recovered ones failed; delays run from the first failure to the next success (µs, nearest rank).
    """

    recovered: int
    helped: int
    attempts: int
    median_delay: int | None
    p90_delay: int | None
    largest_delay: int | None
    total_delay: int


class RecoveredCluster(NamedTuple):
    """The events of one cluster that recovered; `events` is how many ever failed with it."""

    cluster_id: int
    event_type: str
    error_type: str | None
    template: str
    events: int
    unresolved: int
    episodes: int
    relapses: int
    recovery: RecoveryStats


class Recovered(NamedTuple):
    """Events that recovered, by cluster, most failed attempts first; `total` counts each event once."""

    clusters: tuple[RecoveredCluster, ...]
    total: RecoveryStats


class DueCluster(NamedTuple):
    """How many retries of a retry storm come from one cluster."""

    cluster_id: int
    error_type: str | None
    template: str
    retries: int


class Burst(NamedTuple):
    """A retry storm: a minute with far more retries of one type than `usual`, the median of the minutes around it."""

    event_type: str
    minute_at: int
    retries: int
    usual: float
    clusters: tuple[DueCluster, ...]


class DueType(NamedTuple):
    """The retries of one event type: overdue, due in each minute of the calendar, and later."""

    event_type: str
    overdue: int
    minutes: tuple[int, ...]
    later: int


def with_all(types: tuple[DueType, ...]) -> tuple[DueType, ...]:
    """Return the event types; if there are several, with the sum of all before them."""
    if len(types) < 2:
        return types
    minutes = tuple(map(sum, zip(*(due.minutes for due in types), strict=True)))
    return (DueType("all", sum(d.overdue for d in types), minutes, sum(d.later for d in types)), *types)


class RetrySchedule(NamedTuple):
    """The retries that are due, by minute: the first minute of `types[…].minutes` begins at `first_minute_at`.

    It has all FAILED events that are not dismissed, each once. `pending` is the number of PENDING events, which have no
    attempt yet or were requeued; a worker claims them at once.
    """

    now: int
    first_minute_at: int
    pending: int
    types: tuple[DueType, ...]
    bursts: tuple[Burst, ...]


class Figure(NamedTuple):
    """A number, and the filter that lists its events."""

    value: int | None
    where: str


class Impact(NamedTuple):
    """The impact of a cluster: five figures, each with the filter that lists its events.

    `events` failed with it, in `attempts` attempts. Of those whose last failure is in this cluster, `dead` will not be
    retried and `waiting` will. `oldest_age` (µs) is the age of the oldest unresolved event, counted from its first
    failure since it was last SYNCED; None if none is unresolved.
    """

    cluster_id: int
    events: Figure
    attempts: Figure
    dead: Figure
    waiting: Figure
    oldest_age: Figure


class Trend(NamedTuple):
    """Failures of a cluster in each of the last 24 clock hours, oldest first; the last one is the current hour so far.

    `last_hour` is the number in the last 60 minutes, with the share of the previous clock hour that lies within them.
    `change` is "new" if the cluster first failed within 24 hours, "rising" if `last_hour` is at least 3 and twice the
    mean of the day, else None.
    """

    cluster_id: int
    hours: tuple[int, ...]
    last_hour: int
    change: str | None

    @property
    def peak(self) -> int:
        """The most failures in one of the clock hours, or in the last 60 minutes, which may have more than any."""
        return max(self.last_hour, *self.hours)


class EventSeverity(NamedTuple):
    """How many unresolved events whose last failure is in this cluster have one severity of their own."""

    cluster_id: int
    severity: str
    events: int


class MaskedValues(NamedTuple):
    """What failures have in the place of one placeholder: each value and how many of them have it, most frequent first.

    `placeholder` is "" for text that the template leaves out.
    """

    placeholder: str
    values: tuple[tuple[str, int], ...]


class NewestFailures(NamedTuple):
    """The newest failed attempt of a cluster, and the masked values of its newest failures, of which there are `of`."""

    attempt: Attempt
    of: int
    masked: tuple[MaskedValues, ...]


class MaskedEvent(NamedTuple):
    """What the newest failure of an event in a cluster has in place of the template's placeholders."""

    event_id: int
    masked: tuple[MaskedPart, ...]


class HourSeverity(NamedTuple):
    """Failures in one hour (`hour_at`: its start) of all clusters with one severity now; None: without one."""

    hour_at: int
    severity: str | None
    failures: int
