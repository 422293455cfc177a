"""Patterns: what the facts show over time, of one event, of one cluster, and of all of them.

The module that answers a question is loaded when it is asked.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from failaware.engine import Reader
from failaware.read.checked import sound

if TYPE_CHECKING:
    from failaware.model import HourCount
    from failaware.model.patterns import HourSeverity, Impact, Recovered, RetrySchedule, Run, Transitions


class Patterns:
    """Reached as `inspector.patterns`. Times and spans are µs."""

    def __init__(self, db: Reader, clock: Callable[[], int]) -> None:
        """An Inspector makes it, with its own reader and clock."""
        self.db = db
        self._now = clock

    @sound
    def runs(self, event_id: int) -> "tuple[Run, ...]":
        """The course of one event: runs of equal errors, decisions, and where it ends.

        Raises:
            NotFound: there is none with this id.
        """
        from failaware.read import transitions

        return transitions.runs(self.db, event_id)

    @sound
    def transitions(self, cluster_id: int) -> "Transitions":
        """What came before the events of a cluster failed with it, and what after.

        Raises:
            NotFound: there is none with this id.
        """
        from failaware.read import transitions

        return transitions.transitions(self.db, cluster_id)

    @sound
    def recovered(self, where: str = "") -> "Recovered":
        """What failed and then was SYNCED, in the clusters that `where` lets through.

        Takes time in proportion to the events that recovered: about two seconds for a million.

        Raises:
            FilterError: the filter is not understood.
        """
        from failaware.read import recovered

        return recovered.recovered(self.db, where, now=self._now())

    @sound
    def calendar(self) -> "RetrySchedule":
        """The retries that are due, by minute of the next hour. Takes time in proportion to them."""
        from failaware.read import retry_schedule

        return retry_schedule.calendar(self.db, now=self._now())

    @sound
    def impact(self, cluster_id: int) -> "Impact":
        """What a cluster means for the work: five figures, each with the filter that lists its events.

        Raises:
            NotFound: there is none with this id.
        """
        from failaware.read import impact

        return impact.impact(self.db, cluster_id, now=self._now())

    @sound
    def timeline(self, *, since: int = 0, cluster_id: int | None = None) -> "list[HourCount]":
        """Failures by hour and cluster, or of one `cluster_id`, since a moment (µs), oldest first.

        Hours without any are left out.
        """
        from failaware.read import clusters

        return clusters.hours(self.db, since=since, cluster_id=cluster_id)

    @sound
    def hours(self) -> "list[HourSeverity]":
        """All failures by hour and by the severity at which their clusters stand now, oldest first."""
        from failaware.read import clusters

        return clusters.hours_by_severity(self.db)
