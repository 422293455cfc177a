"""Recovered: what failed and then was SYNCED without a person's decision in between, and what that cost."""

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

# Events that were SYNCED with a requeue in between: after the first failed attempt and before the last one, by counting
# attempts, as the fold does. After a dismissal alone, a success that came late is neither recovered nor helped.
_HELPED = """
SELECT m.event_id, m.cluster_id
  FROM (SELECT DISTINCT d.event_id
          FROM decision_log d JOIN event_state s ON s.event_id = d.event_id
         WHERE d.decision = 'REQUEUE' AND s.sync_status = 'SYNCED' AND d.after_attempt < s.attempts
           AND d.after_attempt >= (SELECT min(c.first_attempt) FROM event_cluster c WHERE c.event_id = d.event_id)) AS h
  JOIN event_cluster m ON m.event_id = h.event_id
 WHERE {which}
"""
# In pages, in the order in which the rows lie; the + keeps SQLite from looking for the clusters first and sorting then.
_RECOVERED = """
SELECT m.event_id, m.cluster_id, m.failures, m.first_failed_at, m.recovered_at
  FROM event_cluster m
 WHERE (m.event_id, m.cluster_id) > (:event, :cluster) AND m.recovered = 1 AND {which}
 ORDER BY m.event_id, m.cluster_id LIMIT :page
"""
_PAGE = 20_000

Recovery = tuple[int, int, int, int, int]
"""An event that recovered, a cluster it had failed with, how often, from when, and when it succeeded next."""


class _Course:
    """What is being counted, of one cluster or of all."""

    def __init__(self) -> None:
        self.helped = self.attempts = 0
        self.delays = array("q")

    def recovery(self) -> RecoveryStats:
        """The counts, and the delays by nearest rank: the shortest that so many tenths did not exceed."""
        delays = sorted(self.delays)
        count = len(delays)
        median, p90, largest = (delays[-(-count * tenths // 10) - 1] if count else None for tenths in (5, 9, 10))
        return RecoveryStats(count, self.helped, self.attempts, median, p90, largest, sum(delays))


def recovered(db: Reader, where: str, *, now: int) -> Recovered:
    """What recovered or was helped, in the clusters that a filter lets through: most failed attempts first."""
    courses: defaultdict[int, _Course] = defaultdict(_Course)
    total = _Course()
    with db.snapshot():
        sql, parameters = matching(db, where, now=now)
        clusters = [Cluster(*row) for row in db.query(sql, parameters)]
        which = f"+m.cluster_id IN (SELECT cluster_id FROM ({sql}) AS chosen)" if where.strip() else "true"
        for _, rows in groupby(_recovered(db, which, parameters), key=itemgetter(0)):
            _count(list(rows), courses, total)
        helped = db.query(_HELPED.format(which=which), parameters)
    for _, cluster_id in helped:
        courses[cluster_id].helped += 1
    total.helped = len({event_id for event_id, _ in helped})
    found = [_named(cluster, courses[cluster.cluster_id]) for cluster in clusters if cluster.cluster_id in courses]
    found.sort(
        key=lambda row: (-row.recovery.attempts, -row.recovery.total_delay, -row.recovery.helped, row.cluster_id)
    )
    return Recovered(tuple(found), total.recovery())


def _recovered(db: Reader, which: str, parameters: dict[str, Any]) -> Iterator[Recovery]:
    """All there are, event by event; only a page of them is held."""
    event_id = cluster_id = -1
    while True:
        after = {"event": event_id, "cluster": cluster_id, "page": _PAGE}
        rows = db.query(_RECOVERED.format(which=which), {**parameters, **after})
        yield from rows
        if len(rows) < _PAGE:
            return
        event_id, cluster_id = rows[-1][:2]


def _count(rows: list[Recovery], courses: dict[int, _Course], total: _Course) -> None:
    """Count one event."""
    for _, cluster_id, failures, began, ended in rows:
        course, delay = courses[cluster_id], max(ended - began, 0)
        course.attempts += failures
        course.delays.append(delay)
        total.attempts += failures
    began, ended = min((began, ended) for *_, began, ended in rows)
    total.delays.append(max(ended - began, 0))


def _named(cluster: Cluster, course: _Course) -> RecoveredCluster:
    names: dict[str, Any] = {name: getattr(cluster, name) for name in RecoveredCluster._fields[:-1]}
    return RecoveredCluster(**names, recovery=course.recovery())
