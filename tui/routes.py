"""Where keys lead: screens name each other by these values, and the app, which alone knows the screens, opens them."""

from typing import NamedTuple


class ToEvents(NamedTuple):
    """The events of a cluster, of a filter, or all; on a tab other than `failure` this tab has all of the screen."""

    cluster_id: int | None = None
    event_type: str | None = None
    where: str = ""
    tab: str = "failure"


class ToDue(NamedTuple):
    """The retries that are due."""


class ToRecovered(NamedTuple):
    """What recovered, in the clusters of a filter."""

    where: str = ""


class ToChanges(NamedTuple):
    """What changed, by periods; the first is since a moment (µs), if one is given."""

    since: int | None


Route = ToEvents | ToDue | ToRecovered | ToChanges
