"""Impact of a cluster: five figures, each with the filter that lists its events."""

from failaware.engine import Reader
from failaware.model import NEVER
from failaware.model.patterns import Figure, Impact
from failaware.read.clusters import one

_STATES = "SELECT sync_status, sum(events) FROM stored_counts WHERE cluster_id = ? AND dismissed = 0 GROUP BY 1"
# CROSS JOIN: read the cluster's failing events, not all unresolved events.
_OLDEST = """
  SELECT s.failing_since, s.event_id
    FROM (SELECT event_id FROM event_cluster WHERE cluster_id = :cluster AND recovered_at = :never
          UNION
          SELECT event_id FROM failure_after_success WHERE cluster_id = :cluster AND recovered_at = :never) AS m
   CROSS JOIN stored_state s
   CROSS JOIN cluster_part p
   WHERE s.event_id = m.event_id AND p.part_id = s.part_id AND p.cluster_id = :cluster AND s.severity IS NOT NULL
   ORDER BY 1, 2 LIMIT 1
"""


def impact(db: Reader, cluster_id: int, *, now: int) -> Impact:
    """The five figures at `now`, or NotFound."""
    with db.snapshot():
        cluster = one(db, cluster_id)
        cluster_id = cluster.cluster_id
        states: dict[str, int] = dict(db.query(_STATES, (cluster_id,)))
        oldest = db.query(_OLDEST, {"cluster": cluster_id, "never": NEVER})
    ever, last = f"cluster:{cluster_id}", f"last:{cluster_id}"
    return Impact(
        cluster_id=cluster_id,
        events=Figure(cluster.events, ever),
        attempts=Figure(cluster.failures, ever),
        dead=Figure(states.get("DEAD", 0), f"{last} status:DEAD -status:DISMISSED"),
        waiting=Figure(
            states.get("FAILED", 0) + states.get("PENDING", 0), f"{last} status:FAILED,PENDING -status:DISMISSED"
        ),
        oldest_age=Figure(max(now - oldest[0][0], 0), f"id:{oldest[0][1]}")
        if oldest
        else Figure(None, f"{last} status:UNRESOLVED"),
    )
