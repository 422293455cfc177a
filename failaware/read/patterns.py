"""Patterns: reports over time, on one event, one cluster, or the whole store.

Methods import their modules when called.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from failaware.engine import Reader
from failaware.read.checked import validated
from failaware.read.connections import ConnectionRegistry

if TYPE_CHECKING:
    from failaware.model import HourCount
    from failaware.model.differences import ClusterChange, Correction
    from failaware.model.patterns import (
        EventSeverity,
        HourSeverity,
        Impact,
        MaskedEvent,
        NewestFailures,
        Recovered,
        RetrySchedule,
        Run,
        Transitions,
        Trend,
    )


class Patterns:
    """Reached as `inspector.patterns`. Times and durations are in µs."""

    def __init__(self, db: Reader, connections: ConnectionRegistry, clock: Callable[[], int]) -> None:
        """Created by Inspector with its own reader, connections and clock."""
        self.db = db
        self._connections = connections
        self._now = clock

    @validated
    def runs(self, event_id: int) -> "tuple[Run, ...]":
        """The history of one event: runs of equal errors, decisions, and its state.

        Raises:
            NotFound: no such id.
        """
        from failaware.read import transitions

        return transitions.runs(self.db, event_id)

    @validated
    def corrections(self, *, limit: int = 50) -> "list[Correction]":
        """The newest `limit` decisions of people that merged or split clusters, or undid that, newest first."""
        from failaware.read import corrections

        return corrections.newest(self.db, limit=limit)

    @validated
    def preview_correction(
        self,
        *,
        merge: "Sequence[int]" = (),
        split: tuple[int, str] | None = None,
        undo: int | None = None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> "tuple[ClusterChange, ...]":
        """The clusters that a correction would change: `merge` these, `split` one by a placeholder, or `undo` one.

        The store is derived twice in private tables, which takes a second for about 30,000 attempts. The arguments
        are those of `Store.merge_clusters`, `split_cluster` and `undo_correction`; give one of them. `progress` is
        called with the number of facts done and in total.

        Raises:
            NotFound, UsageError: it cannot be recorded; the message says why.
        """
        from failaware.read import corrections

        rows = corrections.proposed(self.db, merge=merge, split=split, undo=undo)
        return corrections.preview(self.db, self._connections, rows, now=self._now(), progress=progress)

    @validated
    def transitions(self, cluster_id: int) -> "Transitions":
        """What happened to the events of a cluster before they failed with it, and afterwards.

        Raises:
            NotFound: no such id.
        """
        from failaware.read import transitions

        return transitions.transitions(self.db, cluster_id)

    @validated
    def recovered(self, where: str = "") -> "Recovered":
        """Failures that recovered on retry, in the clusters that match `where`.

        Takes time in proportion to the events that recovered: about two seconds for a million.

        Raises:
            FilterError: the filter is invalid.
        """
        from failaware.read import recovered

        return recovered.recovered(self.db, where, now=self._now())

    @validated
    def calendar(self) -> "RetrySchedule":
        """The retries due, by minute of the next hour. Takes time in proportion to their number."""
        from failaware.read import retry_schedule

        return retry_schedule.calendar(self.db, now=self._now())

    @validated
    def impact(self, cluster_id: int) -> "Impact":
        """The impact of a cluster: five figures, each with the filter that lists its events.

        Raises:
            NotFound: no such id.
        """
        from failaware.read import impact

        return impact.impact(self.db, cluster_id, now=self._now())

    @validated
    def timeline(self, *, since: int = 0, cluster_id: int | None = None) -> "list[HourCount]":
        """Failures by hour and cluster, or of one `cluster_id`, since a moment (µs), oldest first.

        Hours without failures are left out.
        """
        from failaware.read import clusters

        return clusters.hours(self.db, since=since, cluster_id=cluster_id)

    @validated
    def hours(self, *, since: int = 0) -> "list[HourSeverity]":
        """All failures since a moment (µs) by hour and by the current severity of their clusters, oldest first."""
        from failaware.read import clusters

        return clusters.hours_by_severity(self.db, since=since)

    @validated
    def trends(self, *, cluster_id: int | None = None) -> "list[Trend]":
        """The failures of the last day by hour of each cluster that failed in it, by id; which are new, or rising.

        With `cluster_id`, only of this cluster.
        """
        from failaware.read import trends

        return trends.trends(self.db, now=self._now(), cluster_id=cluster_id)

    @validated
    def event_severities(self) -> "list[EventSeverity]":
        """The number of unresolved events by the cluster of their last failure and their own severity."""
        from failaware.read import clusters

        return clusters.event_severities(self.db)

    @validated
    def newest(self, cluster_id: int, *, limit: int = 20) -> "NewestFailures":
        """The newest failed attempt of a cluster, and the masked values of its `limit` newest failures.

        Raises:
            NotFound: no such id.
        """
        from failaware.read import newest

        return newest.newest(self.db, cluster_id, limit=limit)

    @validated
    def masked(self, cluster_id: int, event_ids: "Sequence[int]") -> "list[MaskedEvent]":
        """What the newest failure of each event in a cluster has in place of the template's placeholders.

        Args:
            cluster_id: the cluster.
            event_ids: the events; those that did not fail with the cluster are left out.
        """
        from failaware.read import newest

        return newest.masked(self.db, cluster_id, event_ids)
