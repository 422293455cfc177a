"""Clusters: worst first, one by id, and their failures by hour."""

from typing import Any

from failaware.derive.corrections import not_found
from failaware.derive.severity import CLUSTER_EVIDENCE
from failaware.engine import Reader
from failaware.errors import FilterError, NotFound
from failaware.model import HOUR, NEVER, Cluster, HourCount
from failaware.model.patterns import EventSeverity, HourSeverity
from failaware.read.filter import CLUSTER_FIELDS, parse

RANK = "CASE severity WHEN 'CRITICAL' THEN 4 WHEN 'HIGH' THEN 3 WHEN 'MEDIUM' THEN 2 WHEN 'LOW' THEN 1 ELSE 0 END"

_COLUMNS = """
  SELECT c.cluster_id, c.event_type, c.error_type, c.template, c.severity, c.rule, c.reason, c.events, n.unresolved,
         n.dead, n.retrying, c.recovered, c.failures, c.episodes, c.relapses, c.first_failed_at, c.last_failed_at,
         c.example_attempt
    FROM ({evidence}) n JOIN failure_cluster c ON c.cluster_id = n.cluster_id
"""

_BEGINNING = "SELECT cluster_id FROM failure_cluster WHERE CAST(cluster_id AS TEXT) LIKE ? LIMIT 2"
_MERGED_FROM = """
  SELECT DISTINCT k.cluster_id FROM known_fingerprint k JOIN failure_cluster c ON c.cluster_id = k.cluster_id
   WHERE CAST(k.fingerprint_id AS TEXT) LIKE ? LIMIT 2
"""


def worst(db: Reader, where: str, *, now: int, limit: int) -> list[Cluster]:
    """The clusters that match a filter, worst first, then the unresolved ones, then by newest failure."""
    sql, parameters = matching(db, where, now=now)
    sql += f" ORDER BY {RANK} DESC, unresolved > 0 DESC, last_failed_at DESC, cluster_id LIMIT :limit"
    return [Cluster(*row) for row in db.query(sql, {**parameters, "limit": limit})]


def matching(db: Reader, where: str, *, now: int) -> tuple[str, dict[str, Any]]:
    """SQL that selects the clusters that match a filter, with the columns of a Cluster, and its parameters."""
    condition = parse(where, CLUSTER_FIELDS, now=now, cluster=lambda digits: id_in_filter(db, digits))
    evidence = CLUSTER_EVIDENCE.format(of="cluster_id > 0")
    return (
        f"SELECT * FROM ({_COLUMNS.format(evidence=evidence)}) AS cluster WHERE {condition.sql}",
        condition.parameters,
    )


def one(db: Reader, cluster_id: int) -> Cluster:
    """One cluster, or NotFound; an old id is that of the cluster into which it was merged."""
    evidence = CLUSTER_EVIDENCE.format(of="cluster_id = :cluster")
    rows = db.query(_COLUMNS.format(evidence=evidence), {"cluster": current_id(db, cluster_id)})
    if not rows:
        raise not_found(db, str(cluster_id))
    return Cluster(*rows[0])


def resolve(db: Reader, text: str) -> int:
    """The id of the cluster whose id begins with these digits, like an abbreviated commit hash.

    Raises:
        NotFound: no id begins with them, or more than one does.
    """
    if text.isascii() and text.isdigit():
        matches = _ids_beginning_with(db, text)
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise NotFound(f"more than one cluster begins with {text}; write more of its digits")
        raise not_found(db, text[:40])
    raise NotFound(f"there is no cluster '{text[:40]}'; 'failaware clusters' lists them")


def id_in_filter(db: Reader, digits: str) -> int:
    """The id that a filter refers to: exactly this one if it exists, otherwise the one that begins with these digits.

    Raises:
        FilterError: more than one id begins with them.
    """
    number = int(digits)
    if number > NEVER or db.query("SELECT 1 FROM failure_cluster WHERE cluster_id = ?", (number,)):
        return number
    matches = _ids_beginning_with(db, digits)
    if len(matches) > 1:
        raise FilterError(f"more than one cluster begins with {digits}; write more of its digits")
    return matches[0] if matches else number


def _ids_beginning_with(db: Reader, digits: str) -> list[int]:
    """The ids that begin with these digits, at most two; without any, those of clusters merged from such ids."""
    for sql in (_BEGINNING, _MERGED_FROM):
        if rows := db.query(sql, (f"{digits}%",)):
            return [cluster_id for (cluster_id,) in rows]
    return []


def current_id(db: Reader, cluster_id: int) -> int:
    """The id of the cluster that one with this id was merged into, if it was; else the id itself."""
    rows = db.query("SELECT cluster_id FROM known_fingerprint WHERE fingerprint_id = ?", (cluster_id,))
    return rows[0][0] if rows else cluster_id


def parts_of(db: Reader, cluster_id: int) -> list[int]:
    """The ids under which the rows of a cluster's events and failures are stored: more than one if it was merged."""
    rows = db.query("SELECT part_id FROM cluster_part WHERE cluster_id = ? ORDER BY part_id", (cluster_id,))
    return [part_id for (part_id,) in rows]


def hours(db: Reader, *, since: int, cluster_id: int | None) -> list[HourCount]:
    """Failures by hour and cluster, oldest first."""
    condition = "AND cluster_id = :cluster" if cluster_id is not None else ""
    rows = db.query(
        f"SELECT cluster_id, hour, failures, events FROM cluster_hour WHERE hour >= :since {condition} "
        "ORDER BY hour, cluster_id",
        {"since": since // HOUR, "cluster": cluster_id and current_id(db, cluster_id)},
    )
    return [HourCount(cluster, hour * HOUR, failures, events) for cluster, hour, failures, events in rows]


def event_severities(db: Reader) -> list[EventSeverity]:
    """Unresolved events by cluster and their own severity."""
    rows = db.query(
        "SELECT cluster_id, severity, sum(events) FROM stored_counts WHERE severity <> '' GROUP BY 1, 2 "
        "HAVING sum(events) > 0 ORDER BY 1, 2"
    )
    return [EventSeverity(cluster_id, severity, int(events)) for cluster_id, severity, events in rows]


def hours_by_severity(db: Reader, *, since: int) -> list[HourSeverity]:
    """Failures by hour and by the severity of their clusters, oldest first."""
    rows = db.query(
        "SELECT h.hour, c.severity, sum(h.failures) FROM cluster_hour h JOIN failure_cluster c "
        "ON c.cluster_id = h.cluster_id WHERE h.hour >= ? GROUP BY 1, 2 ORDER BY 1, coalesce(c.severity, '')",
        (since // HOUR,),
    )
    return [HourSeverity(hour * HOUR, severity, failures) for hour, severity, failures in rows]
