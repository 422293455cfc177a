"""Self-healed: what failed and then was SYNCED without a person's decision in between, and what that cost."""

from collections import Counter
from typing import Any

from failaware.engine import Reader, Row
from failaware.model import NEVER, Cluster
from failaware.read.clusters import matching
from failaware.read.findings import Healed, HealedCluster, Healing

# A decision lies in between if it came after the first failed attempt and before the one that succeeded: by counting
# attempts, as the fold does. After a dismissal alone, a success that came late is neither healed nor helped.
_DECIDED = """
WITH decided AS MATERIALIZED (
  SELECT d.event_id, max(CASE d.decision WHEN 'REQUEUE' THEN 1 ELSE 0 END) AS requeued
    FROM decision_log d JOIN event_state s ON s.event_id = d.event_id AND d.decision <> 'ERASE'
   WHERE s.sync_status = 'SYNCED' AND d.after_attempt < s.attempts AND d.after_attempt >=
         (SELECT min(a.attempt_no) FROM attempt_log a WHERE a.event_id = d.event_id AND a.outcome = 'FAILED')
   GROUP BY d.event_id)
"""
_ENDED = """,
ended AS (
  SELECT m.event_id, m.cluster_id, m.failures, d.requeued,
         CASE WHEN m.open_until > m.first_failed_at THEN m.open_until - m.first_failed_at ELSE 0 END AS delay
    FROM event_cluster m LEFT JOIN decided d ON d.event_id = m.event_id
   WHERE m.open_until < :never AND {which})
"""
_DELAYS = """
SELECT cluster_id, count(*), sum(failures), min(CASE WHEN place * 2 >= healed THEN delay END),
       min(CASE WHEN place * 10 >= healed * 9 THEN delay END), max(delay), sum(delay)
  FROM (SELECT cluster_id, failures, delay, row_number() OVER (PARTITION BY cluster_id ORDER BY delay) AS place,
               count(*) OVER (PARTITION BY cluster_id) AS healed
          FROM {healed}) AS ranked
 GROUP BY cluster_id
"""
_BY_CLUSTER = "(SELECT cluster_id, failures, delay FROM ended WHERE requeued IS NULL)"
_BY_EVENT = (
    "(SELECT 0 AS cluster_id, sum(failures) AS failures, max(delay) AS delay FROM ended WHERE requeued IS NULL "
    "GROUP BY event_id)"
)
_HELPED = """
SELECT cluster_id, event_id FROM decided CROSS JOIN event_cluster m USING (event_id)
 WHERE requeued = 1 AND m.open_until < :never AND {which}
"""


def healed(db: Reader, where: str, *, now: int) -> Healed:
    """What healed, or was helped, in the clusters that a filter lets through: most failed attempts first."""
    sql, parameters = matching(where, now=now)
    # Without a filter the rows are read in the order in which they lie.
    which = f"m.cluster_id IN (SELECT cluster_id FROM ({sql}) AS chosen)" if where.strip() else "true"
    ended, values = _DECIDED + _ENDED.format(which=which), {**parameters, "never": NEVER}
    with db.snapshot():
        clusters = [Cluster(*row) for row in db.query(sql, parameters)]
        delays = db.query(ended + _DELAYS.format(healed=_BY_CLUSTER), values)
        delays += db.query(ended + _DELAYS.format(healed=_BY_EVENT), values)
        helped = db.query(_DECIDED + _HELPED.format(which=which), values)
    by_cluster = {row[0]: row[1:] for row in delays}
    helps = Counter(cluster_id for cluster_id, _ in helped)
    found = [
        _named(cluster, _healing(by_cluster.get(cluster.cluster_id), helps[cluster.cluster_id]))
        for cluster in clusters
        if cluster.cluster_id in by_cluster or cluster.cluster_id in helps
    ]
    found.sort(key=lambda row: (-row.healing.attempts, -row.healing.total_delay, -row.healing.helped, row.cluster_id))
    return Healed(tuple(found), _healing(by_cluster.get(0), len({event_id for _, event_id in helped})))


def _healing(row: Row | None, helped: int) -> Healing:
    if row is None:
        return Healing(0, helped, 0, None, None, None, 0)
    count, attempts, median, p90, largest, total = row
    return Healing(count, helped, attempts, median, p90, largest, total)


def _named(cluster: Cluster, healing: Healing) -> HealedCluster:
    names: dict[str, Any] = {name: getattr(cluster, name) for name in HealedCluster._fields[:-1]}
    return HealedCluster(**names, healing=healing)
