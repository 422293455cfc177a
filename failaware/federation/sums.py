"""Answers of several stores as one answer: sums, minima and maxima. Their ids are those of several stores."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from failaware.engine.derivation import CURRENT
from failaware.model import EventRef, Health, SeverityCounts
from failaware.model.patterns import (
    Burst,
    DueCluster,
    DueType,
    MaskedValues,
    NewestFailures,
    Recovered,
    RecoveredCluster,
    RecoveryStats,
    RetrySchedule,
    Transition,
)
from failaware.read.retry_schedule import MINUTE, MINUTES, bursts_in
from failaware.read.severity import with_sums

_SUMMED = (
    *("total_events", "pending", "failed", "dead", "synced", "dismissed", "due_now", "running", "rejects", "archived"),
)

NO_STATS = RecoveryStats(0, 0, 0, None, None, None, 0)
"""Nothing recovered."""

First = Callable[[Sequence[EventRef], bool], EventRef]
"""Of events with the same number the one that was detected first, or last."""


def health(answers: Sequence[Health], first: First) -> Health:
    """The health of all stores."""
    worst = next((own for own in answers if own.derivation != CURRENT), answers[0])
    sums: dict[str, Any] = {name: sum(getattr(own, name) for own in answers) for name in _SUMMED}
    return Health(
        **sums,
        next_due=_extreme((own.next_due for own in answers), lambda of: (of.value, of.event_type), first, last=False),
        oldest_unresolved=_extreme(
            (own.oldest_unresolved for own in answers), lambda of: (of.value,), first, last=False
        ),
        most_retried=_extreme((own.most_retried for own in answers), lambda of: (-of.value,), first, last=True),
        waiting=_most_first(own.waiting for own in answers),
        last_fact_at=max((own.last_fact_at for own in answers if own.last_fact_at is not None), default=None),
        derivation=worst.derivation,
        derived_by=worst.derived_by,
        requeued=_most_first(own.requeued for own in answers),
        attended=tuple(sorted({event_type for own in answers for event_type in own.attended})),
    )


def _extreme(
    refs: Iterable[EventRef | None], key: Callable[[EventRef], tuple[Any, ...]], first: First, *, last: bool
) -> EventRef | None:
    known = [ref for ref in refs if ref is not None]
    if not known:
        return None
    least = min(map(key, known))
    same = [ref for ref in known if key(ref) == least]
    return same[0] if len(same) == 1 else first(same, last)


def _most_first(counts: Iterable[tuple[tuple[str, int], ...]]) -> tuple[tuple[str, int], ...]:
    total: Counter[str] = Counter()
    for own in counts:
        total.update(dict(own))
    return tuple(sorted(total.items(), key=lambda of: (-of[1], of[0])))


def severities(events: Iterable[dict[str, int]], clusters: dict[str, int]) -> SeverityCounts:
    """The sums of the events, and the joined clusters."""
    total = dict.fromkeys(clusters, 0)
    for own in events:
        total = {level: total[level] + own[level] for level in total}
    return with_sums(total, clusters)


def calendar(answers: Sequence[RetrySchedule], now: int) -> RetrySchedule:
    """The retries of all stores, by the minutes of the first."""
    start = answers[0].first_minute_at
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0] * MINUTES)
    beyond: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for own in answers:
        shift = (own.first_minute_at - start) // MINUTE  # their clocks may differ
        for due in own.types:
            beyond[due.event_type][0] += due.overdue
            beyond[due.event_type][1] += due.later
            for at, retries in enumerate(due.minutes):
                counts[due.event_type][min(max(at + shift, 0), MINUTES - 1)] += retries
    types = [DueType(name, beyond[name][0], tuple(counts[name]), beyond[name][1]) for name in sorted(beyond)]
    bursts = [
        Burst(name, start + at * MINUTE, counts[name][at], usual, _sources(answers, name, start + at * MINUTE))
        for name in sorted(beyond)
        for at, usual in bursts_in(counts[name])
    ]
    types.sort(key=lambda due: -due.overdue - sum(due.minutes))
    bursts.sort(key=lambda burst: burst.minute_at)
    return RetrySchedule(now, start, sum(own.pending for own in answers), tuple(types), tuple(bursts))


def _sources(answers: Sequence[RetrySchedule], event_type: str, minute_at: int) -> tuple[DueCluster, ...]:
    """The clusters of the stores in which this minute is a retry storm, too."""
    clusters: dict[int, DueCluster] = {}
    for own in answers:
        for burst in own.bursts:
            if (burst.event_type, burst.minute_at) == (event_type, minute_at):
                for one in burst.clusters:
                    known = clusters.get(one.cluster_id, one._replace(retries=0))
                    clusters[one.cluster_id] = known._replace(retries=known.retries + one.retries)
    return tuple(sorted(clusters.values(), key=lambda one: (-one.retries, one.cluster_id)))


def recovered(answers: Sequence[Recovered], named: Callable[[int], RecoveredCluster]) -> Recovered:
    """The sums; medians do not add up, and are None where several stores have some."""
    clusters: defaultdict[int, list[RecoveryStats]] = defaultdict(list)
    for own in answers:
        for row in own.clusters:
            clusters[row.cluster_id].append(row.recovery)
    rows = [named(cluster_id)._replace(recovery=_stats(stats)) for cluster_id, stats in clusters.items()]
    rows.sort(key=lambda row: (-row.recovery.attempts, -row.recovery.total_delay, -row.recovery.helped, row.cluster_id))
    return Recovered(tuple(rows), _stats([own.total for own in answers]))


def _stats(all_stats: Sequence[RecoveryStats]) -> RecoveryStats:
    some = [stats for stats in all_stats if stats.recovered] or all_stats[:1]
    if len(some) == 1:
        return some[0]._replace(helped=sum(stats.helped for stats in all_stats))
    return RecoveryStats(
        recovered=sum(stats.recovered for stats in all_stats),
        helped=sum(stats.helped for stats in all_stats),
        attempts=sum(stats.attempts for stats in all_stats),
        median_delay=None,
        p90_delay=None,
        largest_delay=max((s.largest_delay for s in some if s.largest_delay is not None), default=None),
        total_delay=sum(stats.total_delay for stats in all_stats),
    )


def transitions(
    sides: Iterable[Sequence[Transition]], titles: Mapping[int, tuple[str | None, str]]
) -> tuple[Transition, ...]:
    """The sums by kind and cluster, most frequent first; `titles` are the names of the joined clusters."""
    known: dict[tuple[str, int | None], Transition] = {}
    for side in sides:
        for one in side:
            of = one.kind, one.cluster_id
            known[of] = one._replace(events=one.events + (known[of].events if of in known else 0))
    for (kind, cluster_id), one in known.items():
        if cluster_id is not None and cluster_id in titles:
            known[kind, cluster_id] = one._replace(error_type=titles[cluster_id][0], template=titles[cluster_id][1])
    return tuple(sorted(known.values(), key=lambda one: (-one.events, one.kind, one.cluster_id or 0)))


def newest(answers: Sequence[NewestFailures]) -> NewestFailures:
    """The newest failure of all, and the sums of the values of each placeholder."""
    last = max(answers, key=lambda own: own.attempt.finished_at)
    if len({tuple(values.placeholder for values in own.masked) for own in answers}) > 1:
        return last  # their templates differ
    masked = []
    for place, values in enumerate(last.masked):
        counts: Counter[str] = Counter()
        for own in answers:
            counts.update(dict(own.masked[place].values))
        most_first = tuple(sorted(counts.items(), key=lambda of: (-of[1], of[0])))
        masked.append(MaskedValues(values.placeholder, most_first))
    return NewestFailures(last.attempt, sum(own.of for own in answers), tuple(masked))
