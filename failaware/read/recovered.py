"""Recovered: events that failed and succeeded on a later attempt without a decision, with attempts and delays."""

from array import array
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from failaware.engine import Reader
from failaware.model import Cluster
from failaware.model.patterns import Recovered, RecoveredCluster, RecoveryStats
from failaware.read.clusters import matching

# Events that succeeded after a requeue: made after the first failed attempt and before the last attempt, counted in
# attempts as in the fold. A success after only a dismissal counts as neither recovered nor helped.
_HELPED = """
SELECT m.event_id, m.cluster_id
  FROM (SELECT DISTINCT d.event_id
          FROM decision_log d JOIN stored_state s ON s.event_id = d.event_id
         WHERE d.decision = 'REQUEUE' AND s.sync_status = 'SYNCED' AND d.after_attempt < s.attempts
           AND d.after_attempt >= (SELECT min(c.first_attempt) FROM event_cluster c WHERE c.event_id = d.event_id)) AS h
  JOIN event_cluster m ON m.event_id = h.event_id
 WHERE {condition}
"""
# In pages, in storage order; the + keeps SQLite from selecting by cluster first and sorting.
_RECOVERED = """
SELECT m.event_id, m.cluster_id, m.failures, m.first_failed_at, m.recovered_at
  FROM event_cluster m
 WHERE (m.event_id, m.cluster_id) > (:event, :cluster) AND m.recovered = 1 AND {condition}
 ORDER BY m.event_id, m.cluster_id LIMIT :page
"""
_PAGE = 20_000

Recovery = tuple[int, int, int, int, int]
"""Event id, cluster id, failures, first failure (µs), next success (µs)."""


class _RecoveryCounts:
    """Running counts, of one cluster or of all."""

    def __init__(self) -> None:
        self.helped = self.attempts = 0
        self.delays = array("q")

    def recovery(self) -> RecoveryStats:
        """The counts, with percentiles of the delays by nearest rank."""
        delays = sorted(self.delays)
        count = len(delays)
        median, p90, largest = (delays[-(-count * tenths // 10) - 1] if count else None for tenths in (5, 9, 10))
        return RecoveryStats(count, self.helped, self.attempts, median, p90, largest, sum(delays))


def recovered(db: Reader, where: str, *, now: int) -> Recovered:
    """Events that recovered or were helped, in the clusters that match a filter: most failed attempts first."""
    counts_by_cluster: defaultdict[int, _RecoveryCounts] = defaultdict(_RecoveryCounts)
    total = _RecoveryCounts()
    with db.snapshot():
        sql, parameters = matching(db, where, now=now)
        clusters = [Cluster(*row) for row in db.query(sql, parameters)]
        condition = f"+m.cluster_id IN (SELECT cluster_id FROM ({sql}) AS chosen)" if where.strip() else "true"
        for _, rows in groupby(_recovered(db, condition, parameters), key=itemgetter(0)):
            _count(list(rows), counts_by_cluster, total)
        helped = db.query(_HELPED.format(condition=condition), parameters)
    for _, cluster_id in helped:
        counts_by_cluster[cluster_id].helped += 1
    total.helped = len({event_id for event_id, _ in helped})
    clusters_recovered = [
        _recovered_cluster(cluster, counts_by_cluster[cluster.cluster_id])
        for cluster in clusters
        if cluster.cluster_id in counts_by_cluster
    ]
    clusters_recovered.sort(
        key=lambda row: (-row.recovery.attempts, -row.recovery.total_delay, -row.recovery.helped, row.cluster_id)
    )
    return Recovered(tuple(clusters_recovered), total.recovery())


def _recovered(db: Reader, condition: str, parameters: dict[str, Any]) -> Iterator[Recovery]:
    """Yield all rows, ordered by event; holds one page in memory."""
    event_id = cluster_id = -1
    while True:
        after = {"event": event_id, "cluster": cluster_id, "page": _PAGE}
        rows = db.query(_RECOVERED.format(condition=condition), {**parameters, **after})
        yield from rows
        if len(rows) < _PAGE:
            return
        event_id, cluster_id = rows[-1][:2]


def _count(rows: list[Recovery], counts_by_cluster: dict[int, _RecoveryCounts], total: _RecoveryCounts) -> None:
    """Add one event to the counts."""
    for _, cluster_id, failures, began, ended in rows:
        counts, delay = counts_by_cluster[cluster_id], max(ended - began, 0)
        counts.attempts += failures
        counts.delays.append(delay)
        total.attempts += failures
    began, ended = min((began, ended) for *_, began, ended in rows)
    total.delays.append(max(ended - began, 0))


def _recovered_cluster(cluster: Cluster, counts: _RecoveryCounts) -> RecoveredCluster:
    names: dict[str, Any] = {name: getattr(cluster, name) for name in RecoveredCluster._fields[:-1]}
    return RecoveredCluster(**names, recovery=counts.recovery())
