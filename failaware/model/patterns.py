"""The values that `Patterns` answers with: what the facts show over time.

Apart from `failaware.model`, since only these questions need them. Times are µs since the epoch, UTC, and end in `_at`.
"""

from typing import NamedTuple

NAMES = {
    "FIRST": "nothing: it was their first try",
    "SYNCED": "SYNCED",
    "DEAD": "DEAD: nothing more was tried",
    "RETRYING": "FAILED still: another try is due",
    "REQUEUED": "PENDING: requeued, and not tried since",
    "DISMISSED": "DISMISSED by a person",
}
"""What a transition that is no other cluster is called."""


class Run(NamedTuple):
    """One step in the course of an event; the last one is where it ends.

    `kind` FAILED is a run of `times` attempts in a row that failed with one cluster, `name` the error; SYNCED a run of
    attempts that succeeded. REQUEUE and DISMISS are a person's decision, `name` who decided. STATE is how the event
    stands now, where its last attempt does not say so: `name` is PENDING, FAILED, DEAD or DISMISSED. `first_attempt`
    and `last_attempt` are attempt numbers, None where there is no attempt; the times are those of the step's first and
    last fact, None for STATE.
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
        """The step as one says it: 'GatewayTimeout ×5', 'requeued by ada', 'DEAD'."""
        if self.kind == "FAILED":
            return f"{self.name} ×{self.times:,}"
        said = {"REQUEUE": "requeued by ", "DISMISS": "dismissed by "}
        return f"{said.get(self.kind, '')}{self.name}"


class Transition(NamedTuple):
    """How many events came from a cluster to this, or to a cluster from this.

    `kind` FAILED is another cluster, named by the next three; SYNCED a success. After a cluster there may also be
    how the event stands, with nothing tried since: DEAD, RETRYING, REQUEUED or DISMISSED; before it, FIRST: nothing.
    """

    kind: str
    events: int
    cluster_id: int | None = None
    error_type: str | None = None
    template: str | None = None


class Transitions(NamedTuple):
    """What came before events first failed with a cluster, and after they last did; most frequent first.

    Each of the two adds up to the events that ever failed with the cluster.
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
    """How the events of one cluster recovered; `events` is how many ever failed with it."""

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
    """What recovered, by cluster, most failed attempts first; `total` counts each event once."""

    clusters: tuple[RecoveredCluster, ...]
    total: RecoveryStats


class DueCluster(NamedTuple):
    """How many retries of a burst come from one cluster."""

    cluster_id: int
    error_type: str | None
    template: str
    retries: int


class Burst(NamedTuple):
    """A minute with far more retries of one event type than the minutes around it, `usual` being their median."""

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
    """The event types, and where there are several, all of them together before."""
    if len(types) < 2:
        return types
    minutes = tuple(map(sum, zip(*(due.minutes for due in types), strict=True)))
    return (DueType("all", sum(d.overdue for d in types), minutes, sum(d.later for d in types)), *types)


class RetrySchedule(NamedTuple):
    """The retries that are due, by minute: the first minute of `types[…].minutes` begins at `first_minute_at`.

    All FAILED events that are not dismissed are in it, each once. `pending` events besides are not tried yet, or
    requeued; a worker takes them up at once.
    """

    now: int
    first_minute_at: int
    pending: int
    types: tuple[DueType, ...]
    bursts: tuple[Burst, ...]


class Figure(NamedTuple):
    """A number, and the filter that lists the events it is about."""

    value: int | None
    where: str


class Impact(NamedTuple):
    """What a cluster means for the work: five figures that open their events.

    `events` failed with it, in `attempts` attempts. Of those whose last failure it is, `dead` will not be tried again
    and `waiting` will; `oldest_age` is how long the one that has been failing longest has been (µs), counted from its
    first failure since it was last SYNCED; None where none is unresolved.
    """

    cluster_id: int
    events: Figure
    attempts: Figure
    dead: Figure
    waiting: Figure
    oldest_age: Figure


class HourSeverity(NamedTuple):
    """Failures in one hour (`hour_at`: its start) of all clusters that stand at one severity now; None: at none."""

    hour_at: int
    severity: str | None
    failures: int
