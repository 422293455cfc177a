"""Where keys lead: screens name each other by these values, and the app, which alone knows the screens, opens them."""

from typing import NamedTuple


class ToEvents(NamedTuple):
    """The events of a cluster, of a filter, or all."""

    cluster_id: int | None = None
    event_type: str | None = None
    where: str = ""


class ToEvent(NamedTuple):
    """One event."""

    event_id: int


class ToAttempt(NamedTuple):
    """One attempt at an event, by its number."""

    event_id: int
    attempt_no: int


class ToImpact(NamedTuple):
    """The impact of a cluster."""

    cluster_id: int


class ToDue(NamedTuple):
    """The retries that are due."""


class ToRecovered(NamedTuple):
    """What recovered, in the clusters of a filter."""

    where: str = ""


class ToChanges(NamedTuple):
    """What changed, by periods; the first is since a moment (µs), if one is given."""

    since: int | None


class ToWhy(NamedTuple):
    """Why an event or a cluster has its severity."""

    entity_type: str
    entity_id: int


Route = ToEvents | ToEvent | ToAttempt | ToImpact | ToDue | ToRecovered | ToChanges | ToWhy
