"""Reports over time of several stores."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from failaware.errors import NotFound, UsageError
from failaware.federation import sums
from failaware.federation.parts import Call, call
from failaware.model import HOUR, NEVER, HourCount
from failaware.model.differences import ClusterChange, Correction
from failaware.model.patterns import (
    EventSeverity,
    HourSeverity,
    Impact,
    MaskedEvent,
    NewestFailures,
    Recovered,
    RecoveredCluster,
    RetrySchedule,
    Run,
    Transitions,
    Trend,
)
from failaware.model.stores import number_of
from failaware.read import clusters, impact, transitions, trends
from failaware.read.patterns import Patterns

if TYPE_CHECKING:
    from failaware.federation.inspector import Federation
    from failaware.federation.part import Part

_VALUES = 200  # of a filter


class FederatedPatterns(Patterns):
    """Reached as `inspector.patterns`."""

    def __init__(self, federation: "Federation") -> None:
        """Created by Federation."""
        self._federation = federation

    def corrections(self, *, limit: int = 50) -> list[Correction]:
        """The newest of all stores; their clusters are those that were named in the store."""
        answers = self._federation.mapped(self._federation.ask("corrections", limit=limit))
        corrections = [one for own in answers for one in own]
        return sorted(corrections, key=lambda one: one.decided_at, reverse=True)[:limit]

    def preview_correction(self, **_given: Any) -> tuple[ClusterChange, ...]:
        """Not of several stores: a correction is recorded in one."""
        raise UsageError("a correction is recorded in one store; name it alone with --db")

    def runs(self, event_id: int) -> tuple[Run, ...]:
        """The history of one event, with the joined clusters."""
        union = self._federation.join()
        runs: tuple[Run, ...] = self._federation.one(event_id, "runs", number_of(event_id))
        names = transitions.names_of(union.titles(run.cluster_id for run in runs if run.cluster_id is not None))
        failed = (run._replace(name=names.get(run.cluster_id or 0, run.name)) for run in runs)
        return tuple(transitions.in_a_row(failed))

    def transitions(self, cluster_id: int) -> Transitions:
        """The sums of what happened before and after the cluster in each store."""
        of, answers = self._of_cluster(cluster_id, "transitions")
        own: list[Transitions] = answers
        titles = self._federation.union.titles(
            each.cluster_id for one in own for each in (*one.before, *one.after) if each.cluster_id is not None
        )
        before, after = (sums.transitions((getattr(one, name) for one in own), titles) for name in ("before", "after"))
        return Transitions(of, before, after)

    def recovered(self, where: str = "") -> Recovered:
        """The sums of what recovered; a median only where one store has recovered events."""
        federation = self._federation
        union, rest = federation.chosen(where)
        known = {one.cluster_id: one for one in clusters.worst(union.db, rest, now=federation.now(), limit=NEVER)}
        calls: dict[Part, Call] = {}
        for part in federation.parts.all:
            own = [each for number in known for each in union.members(part, number)]
            if own:
                narrow = f"cluster:{','.join(map(str, own))}" if rest and len(own) <= _VALUES else rest
                calls[part] = call("recovered", narrow)
        answers: list[Recovered] = federation.mapped(federation.ask_each(calls)) if calls else []

        def named(cluster_id: int) -> RecoveredCluster:
            fields: dict[str, Any] = {name: getattr(known[cluster_id], name) for name in RecoveredCluster._fields[:-1]}
            return RecoveredCluster(**fields, recovery=sums.NO_STATS)

        return sums.recovered(answers, named)

    def calendar(self) -> RetrySchedule:
        """The sums of the retries due, by minute."""
        return sums.calendar(self._federation.mapped(self._federation.ask("calendar")), self._federation.now())

    def impact(self, cluster_id: int) -> Impact:
        """The figures of the joined cluster; the oldest event is that of one store."""
        of, own = self._of_cluster(cluster_id, "impact")
        ages = [one.oldest_age for one in own if one.oldest_age.value is not None]
        joined = impact.impact(self._federation.union.db, of, now=self._federation.now())
        return joined._replace(oldest_age=max(ages, key=lambda age: age.value)) if ages else joined

    def timeline(self, *, since: int = 0, cluster_id: int | None = None) -> list[HourCount]:
        """The sums of the failures by hour and joined cluster."""
        self._read_hours(since)
        return clusters.hours(self._federation.union.db, since=since, cluster_id=cluster_id)

    def hours(self, *, since: int = 0) -> list[HourSeverity]:
        """The sums of the failures by hour and severity of the joined clusters."""
        self._read_hours(since)
        return clusters.hours_by_severity(self._federation.union.db, since=since)

    def trends(self, *, cluster_id: int | None = None) -> list[Trend]:
        """The failures of the last day of each joined cluster, or of one."""
        now = self._federation.now()
        self._read_hours(max(now - (trends.DAY + 1) * HOUR, 0))
        return trends.trends(self._federation.union.db, now=now, cluster_id=cluster_id)

    def event_severities(self) -> list[EventSeverity]:
        """The unresolved events of each joined cluster by their own severity."""
        return clusters.event_severities(self._federation.join().db)

    def newest(self, cluster_id: int, *, limit: int = 20) -> NewestFailures:
        """The newest failure of any store; the values are those of the `limit` newest failures of each."""
        _, own = self._of_cluster(cluster_id, "newest", limit=limit)
        return sums.newest(own)

    def masked(self, cluster_id: int, event_ids: Sequence[int]) -> list[MaskedEvent]:
        """The masked values of each event, by its store."""
        _, answers = self._of_cluster(cluster_id, "masked", [number_of(event_id) for event_id in event_ids])
        own: list[list[MaskedEvent]] = answers
        return [masked for of_store in own for masked in of_store if masked.event_id in event_ids]

    def _read_hours(self, since: int) -> None:
        federation = self._federation
        union = federation.join()
        federation.read_hours(union, federation.parts.all, since=since)

    def _of_cluster(self, cluster_id: int, question: str, *args: Any, **named: Any) -> tuple[int, list[Any]]:
        """The id of the joined cluster, and the answers of the stores that it is in."""
        federation = self._federation
        union = federation.join()
        of = clusters.current_id(union.db, cluster_id)
        answers = federation.ask_members(of, lambda own: call(question, own, *args, **named))
        if not answers:
            raise NotFound(f"there is no cluster {cluster_id}; 'failaware clusters' lists them")
        return of, [answer for _, answer in answers]
