"""The ids of the facts behind the numbers that rules use."""

from failaware.derive.scope import NONE_FAILS_AGAIN
from failaware.derive.severity import CLUSTER_EVIDENCE
from failaware.engine import Reader
from failaware.model import Behind
from failaware.read.clusters import parts_of

_LISTED = 10
_UNRESOLVED = """
  SELECT s.event_id AS id, s.last_failed_at AS place
    FROM event_cluster m
    JOIN stored_state s ON s.event_id = m.event_id
    JOIN cluster_part l ON l.part_id = s.part_id
   WHERE m.cluster_id = :id AND l.cluster_id = :id AND s.severity IS NOT NULL
"""
_ENTRIES = "SELECT event_id AS id, first_failed_at AS place FROM stored_member WHERE part_id IN ({parts})"
_EPISODES = """
  SELECT (SELECT m.event_id FROM stored_member m
           WHERE m.part_id IN ({parts}) AND m.first_failed_at >= h.hour * 3600000000
           ORDER BY m.first_failed_at, m.event_id LIMIT 1) AS id, h.hour AS place
    FROM cluster_hour h
   WHERE h.cluster_id = :id AND h.events > 0
     AND NOT EXISTS (SELECT 1 FROM cluster_hour before
                      WHERE before.cluster_id = h.cluster_id AND before.hour = h.hour - 1 AND before.events > 0)
"""
_RELAPSES = f"""
  SELECT event_id AS id, first_failed_at AS place
    FROM (SELECT CAST(:id AS BIGINT) AS cluster_id, event_id, first_failed_at,
                 max(recovered_at) OVER (ORDER BY first_failed_at, event_id
                                         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
            FROM stored_member WHERE part_id IN ({{parts}})) AS entered
   WHERE first_failed_at > earlier AND {NONE_FAILS_AGAIN}
"""
_FAILURES = "SELECT attempt_id AS id, attempt_id AS place FROM stored_failure WHERE part_id IN ({parts})"
_FACTS = {
    "event": {
        "attempts": ("attempt", "SELECT attempt_id AS id, attempt_no AS place FROM attempt_log WHERE event_id = :id"),
        "decisions": (
            "decision",
            "SELECT decision_id AS id, decision_id AS place FROM decision_log WHERE event_id = :id",
        ),
    },
    "cluster": {
        "events": ("event", _ENTRIES),
        "unresolved": ("event", _UNRESOLVED),
        "dead": ("event", _UNRESOLVED + " AND s.sync_status = 'DEAD'"),
        "retrying": ("event", _UNRESOLVED + " AND s.sync_status = 'FAILED'"),
        "recovered": ("event", _ENTRIES + " AND recovered = 1"),
        "episodes": ("event", _EPISODES),
        "relapses": ("event", _RELAPSES),
        "failures": ("attempt", _FAILURES),
    },
}
"""For each number, the kind of its facts and SQL for their ids in order. An episode is its first event."""

_NUMBERS = {
    "event": """
      SELECT (SELECT count(*) FROM attempt_log a WHERE a.event_id = s.event_id),
             (SELECT count(*) FROM decision_log d WHERE d.event_id = s.event_id)
        FROM event_state s WHERE event_id = :id""",
    "cluster": f"""
      SELECT {", ".join(_FACTS["cluster"])}
        FROM ({CLUSTER_EVIDENCE.format(of="cluster_id = :id")}) AS evidence""",
}


def facts_behind(db: Reader, entity_type: str, entity_id: int) -> tuple[Behind, ...]:
    """The newest facts behind each nonzero number of an event or a cluster."""
    of = {"id": entity_id}
    facts = _FACTS[entity_type]
    parts = ", ".join(map(str, parts_of(db, entity_id))) if entity_type == "cluster" else ""
    numbers = dict(zip(facts, db.query(_NUMBERS[entity_type], of)[0], strict=True))
    evidence = []
    for number, (kind, sql) in facts.items():
        if numbers[number]:
            rows = db.query(
                f"SELECT id FROM ({sql.format(parts=parts)}) AS fact ORDER BY place DESC, id DESC LIMIT {_LISTED}", of
            )
            evidence.append(Behind(number, numbers[number], kind, tuple(row[0] for row in rows)))
    return tuple(evidence)
