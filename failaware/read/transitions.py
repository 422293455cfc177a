"""Transitions: the history of one event, and what its events did before and after a cluster."""

from collections import Counter
from collections.abc import Iterable

from failaware.engine import Reader
from failaware.errors import NotFound
from failaware.model.patterns import Run, Transition, Transitions
from failaware.read.clusters import one

_STATE = "SELECT sync_status, dismissed FROM event_state WHERE event_id = ?"
_ATTEMPTS = """
  SELECT a.attempt_no, a.outcome, a.finished_at, c.cluster_id, c.error_type, c.template
    FROM attempt_log a
    LEFT JOIN stored_failure f ON f.attempt_id = a.attempt_id
    LEFT JOIN cluster_part p ON p.part_id = f.part_id
    LEFT JOIN failure_cluster c ON c.cluster_id = p.cluster_id
   WHERE a.event_id = ? ORDER BY a.attempt_no
"""
_DECISIONS = (
    "SELECT after_attempt, decision, decided_by, decided_at FROM decision_log "
    "WHERE event_id = ? AND decision <> 'ERASE' ORDER BY decision_id"
)

# An event whose attempts all failed with the cluster, except a successful last one, is counted by its state; for other
# events the neighboring attempts are read. CROSS JOIN: otherwise the planner starts with all events.
_TRANSITIONS = """
WITH member AS MATERIALIZED (
  SELECT m.event_id, s.attempts,
         CASE WHEN s.dismissed = 1 THEN 'DISMISSED' WHEN s.sync_status = 'PENDING' THEN 'REQUEUED'
              WHEN s.sync_status = 'FAILED' THEN 'RETRYING' ELSE s.sync_status END AS state,
         CASE WHEN s.attempts = m.failures + CASE s.sync_status WHEN 'SYNCED' THEN 1 ELSE 0 END
               AND p.cluster_id = m.cluster_id THEN 1 ELSE 0 END AS plain
    FROM event_cluster m CROSS JOIN stored_state s CROSS JOIN cluster_part p
   WHERE m.cluster_id = :cluster AND s.event_id = m.event_id AND p.part_id = s.part_id),
mixed AS MATERIALIZED (
  SELECT m.event_id, m.state, m.attempts, min(a.attempt_no) AS first_no, max(a.attempt_no) AS last_no
    FROM member m
   CROSS JOIN attempt_log a
   CROSS JOIN failure f
   WHERE m.plain = 0 AND a.event_id = m.event_id AND f.attempt_id = a.attempt_id AND f.cluster_id = :cluster
   GROUP BY m.event_id, m.state, m.attempts),
counted AS (
  SELECT 'after' AS side, state AS kind, 0 AS cluster_id, count(*) AS events
    FROM member WHERE plain = 1 GROUP BY state
  UNION ALL SELECT 'before', 'FIRST', 0, count(*) FROM member WHERE plain = 1
  UNION ALL
  SELECT 'after', coalesce(a.outcome, m.state), coalesce(p.cluster_id, 0), count(*)
    FROM mixed m
    LEFT JOIN attempt_log a ON a.event_id = m.event_id AND a.attempt_no =
      (SELECT min(k.attempt_no) FROM attempt_log k WHERE k.event_id = m.event_id AND k.attempt_no > m.last_no)
    LEFT JOIN stored_failure f ON f.attempt_id = a.attempt_id
    LEFT JOIN cluster_part p ON p.part_id = f.part_id
   GROUP BY 2, 3
  UNION ALL
  SELECT 'before', coalesce(a.outcome, 'FIRST'), coalesce(p.cluster_id, 0), count(*)
    FROM mixed m
    LEFT JOIN attempt_log a ON a.event_id = m.event_id AND a.attempt_no =
      (SELECT max(k.attempt_no) FROM attempt_log k WHERE k.event_id = m.event_id AND k.attempt_no < m.first_no)
    LEFT JOIN stored_failure f ON f.attempt_id = a.attempt_id
    LEFT JOIN cluster_part p ON p.part_id = f.part_id
   GROUP BY 2, 3)
SELECT n.side, n.kind, n.events, c.cluster_id, c.error_type, c.template
  FROM (SELECT side, kind, cluster_id, sum(events) AS events FROM counted GROUP BY side, kind, cluster_id) n
  LEFT JOIN failure_cluster c ON c.cluster_id = n.cluster_id
 WHERE n.events > 0
 ORDER BY n.events DESC, n.kind, n.cluster_id
"""


def runs(db: Reader, event_id: int) -> tuple[Run, ...]:
    """The history of one event, or NotFound: attempts in order, with decisions in between."""
    with db.snapshot():
        states = db.query(_STATE, (event_id,))
        if not states:
            raise NotFound(f"there is no event {event_id}; 'failaware events' lists them")
        attempts = db.query(_ATTEMPTS, (event_id,))
        decisions = db.query(_DECISIONS, (event_id,))
    names = names_of({row[3]: row[4:] for row in attempts if row[3] is not None})
    # A decision made after attempt n comes before attempt n + 1. Ordered by number, since clocks may differ.
    steps = [
        (number, 0, Run(outcome, names.get(cluster_id) or outcome, 1, cluster_id, number, number, at, at))
        for number, outcome, at, cluster_id, *_ in attempts
    ]
    steps += [(after, 1, Run(kind, by, 1, None, None, None, at, at)) for after, kind, by, at in decisions]
    history = in_a_row(step for _, _, step in sorted(steps, key=lambda step: step[:2]))
    ((status, dismissed),) = states
    if status != "SYNCED" or history[-1].kind != "SYNCED":
        history.append(Run("STATE", "DISMISSED" if dismissed else str(status)))
    return tuple(history)


def in_a_row(steps: Iterable[Run]) -> list[Run]:
    """The steps, with attempts of one kind and cluster in a row as one."""
    history: list[Run] = []
    for step in steps:
        last = history[-1] if history else None
        if last and step.first_attempt and (last.kind, last.cluster_id) == (step.kind, step.cluster_id):
            times = last.times + step.times
            history[-1] = last._replace(times=times, last_attempt=step.last_attempt, last_at=step.last_at)
        else:
            history.append(step)
    return history


def names_of(clusters: dict[int, tuple[str | None, str]]) -> dict[int, str]:
    """Names of errors: the type without its module, or the template if several have that type."""
    types = {cluster_id: (error_type or "").rpartition(".")[2] for cluster_id, (error_type, _) in clusters.items()}
    several = Counter(types.values())
    return {
        cluster_id: name if name and several[name] == 1 else clusters[cluster_id][1] or name or "error"
        for cluster_id, name in types.items()
    }


def transitions(db: Reader, cluster_id: int) -> Transitions:
    """What happened before the events of a cluster first failed with it and after they last did, or NotFound."""
    with db.snapshot():
        cluster_id = one(db, cluster_id).cluster_id
        rows = db.query(_TRANSITIONS, {"cluster": cluster_id})
    sides: dict[str, list[Transition]] = {"before": [], "after": []}
    for side, *transition in rows:
        sides[side].append(Transition(*transition))
    return Transitions(cluster_id, tuple(sides["before"]), tuple(sides["after"]))
